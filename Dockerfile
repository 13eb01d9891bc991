# nusku in a container: `docker build -t nusku . && docker run -p 8888:8888 -v nusku:/data nusku`

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release

FROM debian:bookworm-slim
RUN useradd --system --uid 10001 --no-create-home nusku \
    && mkdir /data && chown nusku:nusku /data
COPY --from=build /src/target/release/nusku /usr/local/bin/nusku
USER nusku
VOLUME /data
EXPOSE 8888
# Inside a container, 0.0.0.0 is what the published port leads to. Unless
# NUSKU_AUTH__STRATEGY says otherwise, clients are believed who they say they
# are: publish it where only trusted ones connect.
ENTRYPOINT ["nusku"]
CMD ["serve", "--bind", "0.0.0.0", "--storage", "embedded:/data"]
HEALTHCHECK --interval=10s --timeout=6s CMD ["nusku", "ping"]
STOPSIGNAL SIGTERM
