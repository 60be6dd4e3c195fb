//! `ExplainService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, explain_service_server::ExplainService};

use super::principal;
use crate::bus::Bus;

/// `ExplainService` over the bus and its nodes.
pub struct ExplainApi(pub(crate) Bus);

#[tonic::async_trait]
impl ExplainService for ExplainApi {
    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let camera = self.0.explain(&principal, request.into_inner()).await?;
        Ok(Response::new(v1::ExplainResponse { camera: Some(camera) }))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tokio::sync::watch;
    use tonic::Code;
    use xueliang_base::time::Clock as _;
    use xueliang_proto::v1::{
        camera_service_server::CameraService as _, node_service_server::NodeService as _,
    };

    use super::*;
    use crate::{
        grpc::{CameraApi, NodeApi},
        rights::{Principal, PrincipalKind},
        testing::{Bench, minor},
    };

    fn by<T>(name: &str, kind: PrincipalKind, divisions: Option<&str>, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let divisions = divisions.map(|code| vec![code.parse().unwrap()]);
        request.extensions_mut().insert(Principal { divisions, ..Principal::new(name, kind) });
        request
    }
    fn ask(camera: &str) -> v1::ExplainRequest {
        v1::ExplainRequest { camera_id: camera.into(), from_unix_us: 1, to_unix_us: i64::MAX }
    }

    #[tokio::test]
    async fn consoles_ask_the_cameras_node_within_their_divisions_and_are_told_the_alert() {
        let bench = Bench::new();
        let (assigned, assignments) = watch::channel(None);
        let (api, node) = (ExplainApi(bench.bus.clone()), NodeApi { bus: bench.bus.clone(), assignments });
        let console = |divisions, camera| by("desk", PrincipalKind::Console, divisions, ask(camera));
        let unknown = api.explain(console(None, "gate")).await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
        let camera = v1::CameraStatus {
            camera_id: "gate".into(),
            division_path: vec!["33".into(), "3301".into()],
            ..v1::CameraStatus::default()
        };
        let report = v1::ReportRequest { cameras: vec![camera], ..v1::ReportRequest::default() };
        bench.bus.board().report("node-1", report);
        // It has reported and is not attached.
        let away = api.explain(console(None, "gate")).await.unwrap_err();
        assert_eq!(away.code(), Code::Unavailable);
        assert!(away.message().contains("node-1 is away"), "{away}");

        let attach = |explains| {
            let message = v1::AttachRequest {
                node_id: "node-1".into(),
                explains,
                connects: explains,
                ..Default::default()
            };
            by("node-1", PrincipalKind::Node, None, message)
        };
        // A node of an earlier version is never asked.
        let old = node.attach(attach(false)).await.unwrap();
        assert_eq!(api.explain(console(None, "gate")).await.unwrap_err().code(), Code::Unavailable);
        drop(old);
        let mut stream = node.attach(attach(true)).await.unwrap().into_inner();
        assert_eq!(api.explain(console(Some("3302"), "gate")).await.unwrap_err().code(), Code::NotFound);
        let publisher = by("box", PrincipalKind::Publisher, None, ask("gate"));
        assert_eq!(api.explain(publisher).await.unwrap_err().code(), Code::PermissionDenied);

        let alert = minor();
        bench.commit(std::slice::from_ref(&alert)).await;
        let answering = async {
            let question = stream.next().await.unwrap().unwrap().explain.unwrap();
            let incident = |started_unix_us| v1::ExplainedIncident { started_unix_us, ..Default::default() };
            let rule = v1::ExplainedRule {
                rule: alert.explanation.rule.to_string(),
                incidents: vec![incident(alert.started.0), incident(alert.started.0 + 1)],
                ..v1::ExplainedRule::default()
            };
            let camera = v1::ExplainedCamera { rules: vec![rule], ..v1::ExplainedCamera::default() };
            let answer = v1::AnswerExplainRequest {
                node_id: "node-1".into(),
                question_id: question.question_id,
                camera: Some(camera),
                ..v1::AnswerExplainRequest::default()
            };
            node.answer_explain(by("node-1", PrincipalKind::Node, None, answer)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(api.explain(console(Some("3301"), "gate")), answering);
        let told = answer.unwrap().into_inner().camera.unwrap();
        let ids: Vec<&str> = told.rules[0].incidents.iter().map(|one| one.alert_id.as_str()).collect();
        assert_eq!(ids, [alert.id.to_string().as_str(), ""]);

        // A camera is asked for in the same way.
        let cameras = CameraApi(bench.bus.clone());
        let connect = |kind, divisions, for_us| {
            let asked = v1::ConnectCameraRequest { camera_id: "gate".into(), for_us };
            cameras.connect_camera(by("desk", kind, divisions, asked))
        };
        let minute = 60_000_000;
        let console = PrincipalKind::Console;
        for (kind, divisions, for_us, code) in [
            (PrincipalKind::Publisher, None, minute, Code::PermissionDenied),
            (console, Some("3302"), minute, Code::NotFound),
            (console, None, 61 * minute, Code::InvalidArgument),
        ] {
            assert_eq!(connect(kind, divisions, for_us).await.unwrap_err().code(), code);
        }
        let now = bench.clock.wall().0;
        let until = connect(console, Some("3301"), minute).await.unwrap().into_inner().until_unix_us;
        assert_eq!(until, now + 60_000_000);
        let order = stream.next().await.unwrap().unwrap().connect.unwrap();
        assert_eq!((order.camera_id.as_str(), order.for_us), ("gate", minute));

        // The bus stops: the stream ends, though questions might still come.
        drop(assigned);
        assert!(stream.next().await.is_none());
    }
}
