//! `CameraService`.

use tonic::{Request, Response, Status};
use xueliang_base::id::DivisionCode;
use xueliang_proto::v1::{self, camera_service_server::CameraService};

use super::{page_size, principal};
use crate::{
    board::Query,
    bus::Bus,
    error::Error,
    rights::{Right, check},
};

/// `CameraService` over the board.
pub struct CameraApi(pub(super) Bus);

fn parsed(codes: &[String]) -> Result<Vec<DivisionCode>, Error> {
    let parsed = codes.iter().map(|code| code.parse()).collect::<Result<_, _>>();
    parsed.map_err(|fault| Error::Invalid(format!("divisions: {fault}")))
}

#[tonic::async_trait]
impl CameraService for CameraApi {
    async fn list_cameras(
        &self,
        request: Request<v1::ListCamerasRequest>,
    ) -> Result<Response<v1::ListCamerasResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadCameras)?;
        let request = request.get_ref();
        let divisions = parsed(&request.divisions)?;
        // Who sets no size gets all, as before there were pages.
        let limit = if request.page_size == 0 { None } else { Some(page_size(request.page_size)?) };
        let query = Query::read(request, limit)?;
        let (listed, reported_unix_us) =
            self.0.board().list(&query, &divisions, principal.reach().as_deref());
        let paths = listed.cameras.iter().flat_map(|camera| &camera.division_path);
        let divisions = self.0.division_names(paths.map(String::as_str).collect()).await?;
        Ok(Response::new(v1::ListCamerasResponse {
            total: u32::try_from(listed.total).unwrap_or(u32::MAX),
            next_page_token: listed.next,
            divisions,
            cameras: listed.cameras,
            reported_unix_us,
            timezone: self.0.timezone().to_owned(),
        }))
    }

    async fn summarise_cameras(
        &self,
        request: Request<v1::SummariseCamerasRequest>,
    ) -> Result<Response<v1::SummariseCamerasResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        check(&principal, Right::ReadCameras)?;
        let divisions = parsed(&request.get_ref().divisions)?;
        Ok(Response::new(self.0.board().summary(&divisions, principal.reach().as_deref())))
    }

    async fn connect_camera(
        &self,
        request: Request<v1::ConnectCameraRequest>,
    ) -> Result<Response<v1::ConnectCameraResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.connect_camera(&principal, request.get_ref())?))
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use xueliang_base::config;

    use super::*;
    use crate::{
        rights::{Principal, PrincipalKind},
        testing::Bench,
    };

    fn by<T>(divisions: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let divisions = divisions.map(|code| vec![code.parse().unwrap()]);
        let who = Principal { divisions, ..Principal::new("ana", PrincipalKind::Console) };
        request.extensions_mut().insert(who);
        request
    }

    #[tokio::test]
    async fn a_list_comes_in_pages_with_the_names_of_the_divisions_that_may_be_seen() {
        let bench = Bench::new();
        let division = |code: &str, name: &str| config::Division {
            code: code.parse().unwrap(),
            name: name.to_owned(),
            parent: None,
        };
        let town = vec![division("330282", "Cixi"), division("330281", "Yuyao")];
        bench.bus.seed_divisions(town).await.unwrap();
        let camera = |n: usize| v1::CameraStatus {
            camera_id: format!("camera-{n}"),
            division_path: vec![if n < 3 { "330282" } else { "330281" }.to_owned()],
            position: Some(v1::GeoPoint { longitude: 121.2, latitude: 30.1 }),
            ..v1::CameraStatus::default()
        };
        let cameras = (0..4).map(camera).collect();
        bench.bus.board().report("node-1", v1::ReportRequest { cameras, ..v1::ReportRequest::default() });
        let api = CameraApi(bench.bus.clone());
        let ask =
            |page_size, page_token| v1::ListCamerasRequest { page_size, page_token, ..Default::default() };
        let first = api.list_cameras(by(Some("330282"), ask(2, String::new()))).await.unwrap().into_inner();
        assert_eq!((first.cameras.len(), first.total), (2, 3), "of those that may be seen");
        assert_eq!(first.cameras[0].position.map(|at| at.longitude), Some(121.2));
        let named: Vec<_> =
            first.divisions.iter().map(|one| (one.code.as_str(), one.name.as_str())).collect();
        assert_eq!(named, [("330282", "Cixi")]);
        let rest = ask(2, first.next_page_token);
        let rest = api.list_cameras(by(Some("330282"), rest)).await.unwrap().into_inner();
        assert_eq!((rest.cameras.len(), rest.next_page_token.as_str()), (1, ""));
        // Without a size all come, as before there were pages.
        let all = api.list_cameras(by(None, ask(0, String::new()))).await.unwrap().into_inner();
        assert_eq!((all.cameras.len(), all.divisions.len()), (4, 2));
        let wrong = api.list_cameras(by(None, ask(1001, String::new()))).await.unwrap_err();
        assert_eq!(wrong.code(), Code::InvalidArgument);
    }
}
