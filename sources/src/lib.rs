//! Clients of data sources: the adapters of the port in `kymograph_app::source::backend`.
