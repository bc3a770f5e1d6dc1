# Each target says what it is for; how it is done is in scripts/.
.PHONY: run test bench fmt lint deny

# Builds and starts the server: `make run`, or `make run ARGS='cfg:server.http_port=3001'`.
run:
	@scripts/run $(ARGS)

# Runs every test, including real Grafana clients against a real PostgreSQL.
test:
	@scripts/install-dependencies cargo postgres prometheus python-clients node chromium
	scripts/portal build
	scripts/portal check
	cargo build -p kymograph-server
	cargo test --workspace

# Runs the benchmarks: all of them, or `make bench ROW=name`.
bench:
	@scripts/install-dependencies cargo postgres node chromium
	scripts/portal build
	cargo build --profile dist --workspace
	$${CARGO_TARGET_DIR:-target}/dist/kymograph-bench $(if $(ROW),--row $(ROW))

fmt:
	cargo fmt --all
	scripts/portal fmt

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

# Checks the licences, the origin and the known vulnerabilities of all dependencies.
deny:
	@scripts/install-dependencies cargo cargo-deny
	@scripts/deny
