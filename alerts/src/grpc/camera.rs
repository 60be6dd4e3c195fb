//! `CameraService`.

use tonic::{Request, Response, Status};
use xueliang_base::id::DivisionCode;
use xueliang_proto::v1::{self, camera_service_server::CameraService};

use super::principal;
use crate::{
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
        let divisions = parsed(&request.get_ref().divisions)?;
        let (cameras, reported_unix_us) = self.0.board().list(&divisions, principal.reach().as_deref());
        let timezone = self.0.timezone().to_owned();
        Ok(Response::new(v1::ListCamerasResponse { cameras, reported_unix_us, timezone }))
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
