//! `CustodianService`.

use tonic::{Request, Response, Status};
use xueliang_proto::v1::{self, custodian_service_server::CustodianService};

use super::{page_size, principal};
use crate::bus::Bus;

/// `CustodianService` over the bus.
pub struct CustodianApi(pub(super) Bus);

#[tonic::async_trait]
impl CustodianService for CustodianApi {
    async fn list_custodians(
        &self,
        request: Request<v1::ListCustodiansRequest>,
    ) -> Result<Response<v1::ListCustodiansResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let request = request.into_inner();
        let limit = page_size(request.page_size)?;
        let (custodians, next) = self.0.custodians(&principal, &request.page_token, limit).await?;
        let next_page_token = next.unwrap_or_default();
        Ok(Response::new(v1::ListCustodiansResponse { custodians, next_page_token }))
    }

    async fn reveal_custodian(
        &self,
        request: Request<v1::RevealCustodianRequest>,
    ) -> Result<Response<v1::RevealCustodianResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.reveal_custodian(&principal, request.into_inner()).await?))
    }

    async fn import_custodians(
        &self,
        request: Request<v1::ImportCustodiansRequest>,
    ) -> Result<Response<v1::ImportCustodiansResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        Ok(Response::new(self.0.import_custodians(&principal, request.into_inner()).await?))
    }

    async fn rotate_custodian_key(
        &self,
        request: Request<v1::RotateCustodianKeyRequest>,
    ) -> Result<Response<v1::RotateCustodianKeyResponse>, Status> {
        let principal = principal(&self.0, request.extensions())?;
        let sealed = self.0.rotate_custodian_key(&principal).await?;
        Ok(Response::new(v1::RotateCustodianKeyResponse { sealed }))
    }
}
