//! `ClockService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, clock_service_server::ClockService};

use super::{page_size, page_start, principal};
use crate::{
    bus::Bus,
    rights::{Right, check},
};

/// `ClockService` over the store.
pub struct ClockApi(pub(crate) Bus);

#[tonic::async_trait]
impl ClockService for ClockApi {
    async fn list_clock_steps(
        &self,
        request: Request<v1::ListClockStepsRequest>,
    ) -> Result<Response<v1::ListClockStepsResponse>, Status> {
        // Whoever reads alerts reads their times.
        check(&principal(&self.0, request.extensions())?, Right::ReadAlerts)?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let rows = self.0.store().clock_steps(page_start(&request.page_token)?, limit).await?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|(id, _)| id.to_string());
        Ok(Response::new(v1::ListClockStepsResponse {
            steps: rows.into_iter().map(|(_, step)| step).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xueliang_base::time::Clock as _;
    use xueliang_proto::v1::node_service_server::NodeService as _;

    use super::*;
    use crate::{
        grpc::NodeApi,
        rights::{Principal, PrincipalKind},
        testing::{self, Bench},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn steps_of_the_wall_clock_are_counted_audited_and_told() {
        let bench = Bench::new();
        let mut steps = bench.bus.steps();
        bench.clock.advance(HOUR);
        bench.bus.record_steps(&mut steps).await;
        bench.clock.step_wall(bench.clock.wall().minus(HOUR));
        bench.bus.record_steps(&mut steps).await;
        bench.bus.record_steps(&mut steps).await;
        assert_eq!(bench.bus.counts().clock_steps.load(std::sync::atomic::Ordering::Relaxed), 1);

        // A node tells its own, again when it has no answer.
        let node = NodeApi { bus: bench.bus.clone(), assignments: tokio::sync::watch::channel(None).1 };
        let report = v1::ReportRequest {
            node_id: "node-1".to_owned(),
            clock_steps: vec![v1::ClockStep { source: "forged".to_owned(), at_unix_us: 7, by_us: 2_000_000 }],
            ..v1::ReportRequest::default()
        };
        for _ in 0..2 {
            let mut request = Request::new(report.clone());
            request.extensions_mut().insert(testing::node());
            node.report(request).await.unwrap();
        }

        let mut request = Request::new(v1::ListClockStepsRequest { page_size: 1, ..Default::default() });
        request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
        let api = ClockApi(bench.bus.clone());
        let page = api.list_clock_steps(request).await.unwrap().into_inner();
        let of_node = v1::ClockStep { source: "node-1".to_owned(), at_unix_us: 7, by_us: 2_000_000 };
        assert_eq!(page.steps, [of_node]);
        let token = page.next_page_token;
        let mut request = Request::new(v1::ListClockStepsRequest { page_size: 9, page_token: token });
        request.extensions_mut().insert(Principal::new("c", PrincipalKind::Console));
        let page = api.list_clock_steps(request).await.unwrap().into_inner();
        let at_unix_us = bench.clock.wall().0;
        let of_bus = v1::ClockStep { source: "bus".to_owned(), at_unix_us, by_us: -3_600_000_000 };
        assert_eq!((page.steps, page.next_page_token.as_str()), (vec![of_bus], ""));

        let audited = crate::store::tests::audited(bench.folder.path());
        let stepped: Vec<_> = audited.iter().filter(|one| one.1 == "wall_clock_stepped").collect();
        assert_eq!(stepped.len(), 2, "{audited:?}");
        assert!(stepped[0].2.starts_with("by -3600000000 us"), "{audited:?}");
    }
}
