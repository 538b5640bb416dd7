# Builds spacebridge, and makes a small image that runs it as a user without rights.
#
#   docker build -t spacebridge .
#   docker run --rm -it --stop-timeout 30 -v "$PWD/recordings:/recordings" -e YT_KEY spacebridge run …
#
# On Linux add --user "$(id -u):$(id -g)", so that the recordings are yours. `make image-check` runs the second stage
# without Docker: keep to the instructions that packaging/image_check.py knows.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY packaging/debian-build.txt packaging/
RUN apt-get update \
 && sed 's/#.*//' packaging/debian-build.txt | xargs apt-get install -y --no-install-recommends
COPY . .
# Line tables are for those who build; without them the binary is a fraction of the size.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin spacebridge \
 && strip --strip-debug -o /usr/local/bin/spacebridge target/release/spacebridge

FROM debian:12-slim
COPY packaging/debian-run.txt /usr/share/spacebridge/
RUN apt-get update \
 && sed 's/#.*//' /usr/share/spacebridge/debian-run.txt \
    | DEBIAN_FRONTEND=noninteractive xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*
# Open to every user, so that the container can run as whoever owns the mounted folder.
RUN useradd --uid 1000 --home-dir /state --no-create-home --shell /usr/sbin/nologin spacebridge \
 && install -d -m 1777 /state /recordings
COPY --from=build /usr/local/bin/spacebridge /usr/local/bin/
COPY LICENSE-MIT LICENSE-APACHE config/spacebridge.toml config/serve.toml /usr/share/spacebridge/
ENV HOME=/state SPACEBRIDGE_STATE=/state
USER spacebridge
# Recordings go to the folder `recordings` of the working folder, if nothing else is configured.
WORKDIR /
VOLUME ["/recordings", "/state"]
# The daemon, or else every bridge on the air, answers; a container that only prints help is never asked.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["spacebridge", "health"]
# In a container the container's end is the end of its bridges: what has not left within --stop-timeout is killed, and goes
# on where it was if the volume /state is kept.
# Suspends the show: the recording is safe, the outputs close, and the same command within 30 minutes goes on.
STOPSIGNAL SIGTERM
ENTRYPOINT ["spacebridge"]
CMD ["--help"]
