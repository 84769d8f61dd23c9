//! The files of the page, embedded.

/// A file that is served as it is.
pub(super) struct Asset {
    pub(super) content_type: &'static str,
    pub(super) body: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($path:literal => $content_type:ident $file:literal,)*) => {
        /// The file at a path.
        pub(super) fn find(path: &str) -> Option<Asset> {
            match path {
                $($path => Some(Asset { content_type: $content_type, body: include_bytes!(concat!("assets/", $file)) }),)*
                _ => None,
            }
        }

        #[cfg(test)]
        pub(super) const PATHS: &[&str] = &[$($path,)*];
    };
}

assets! {
    "/" => HTML "index.html",
    "/assets/page.css" => CSS "page.css",
    "/assets/main.js" => JS "main.js",
    "/assets/dom.js" => JS "dom.js",
    "/assets/data.js" => JS "data.js",
    "/assets/format.js" => JS "format.js",
    "/assets/table.js" => JS "table.js",
    "/assets/chart.js" => JS "chart.js",
    "/assets/panels.js" => JS "panels.js",
    "/assets/vendor/uPlot.iife.min.js" => JS "vendor/uPlot.iife.min.js",
    "/assets/vendor/uPlot.min.css" => CSS "vendor/uPlot.min.css",
}
