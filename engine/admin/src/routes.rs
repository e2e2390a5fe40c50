//! Which address leads to which operation.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::server::App;
use crate::{access, event_stream, metrics, operations, page, why};

/// Makes the router, and the list of what is in it.
macro_rules! routes {
    ($($method:ident $path:literal => $handler:path,)+) => {
        const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];

        fn all() -> Router<Arc<App>> {
            Router::new()$(.route($path, $method($handler)))+
        }
    };
}

routes! {
    get "/livez" => operations::livez,
    get "/readyz" => operations::readyz,
    get "/admin/liveness" => operations::liveness,
    get "/engine" => operations::engine,
    get "/plugins" => operations::plugins,
    get "/plugins/{id}" => operations::plugin,
    get "/plugins/{id}/display" => operations::display,
    get "/plugins/{id}/history" => operations::plugin_history,
    get "/plugins/{id}/why" => why::why,
    post "/plugins/{id}/{command}" => operations::command,
    get "/history" => operations::history,
    get "/events" => event_stream::events,
    get "/metrics" => metrics::metrics,
    get "/openapi.json" => page::openapi,
    get "/" => page::index,
    get "/{file}" => page::file,
}

/// Everything that is served: methods in small letters, and addresses with names in braces where anything can stand. What `/openapi.json`
/// describes.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().copied()
}

pub(crate) fn router(app: &Arc<App>) -> Router {
    all()
        .fallback(operations::nothing)
        .method_not_allowed_fallback(operations::not_so)
        .layer(from_fn_with_state(Arc::clone(app), access::guard))
        .with_state(Arc::clone(app))
}
