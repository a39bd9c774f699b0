# syntax=docker/dockerfile:1
# The controller's image: built with the dist profile (thin LTO, stripped), run by nobody in
# particular on an image with glibc, root certificates and nothing else.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --profile dist --bin tipoff \
 && install -D --mode=0755 target/dist/tipoff /out/tipoff

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="tipoff" \
      org.opencontainers.image.description="A predictive autoscaler for Kubernetes that reads the fixture list" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/tipoff /usr/local/bin/tipoff
# 65532 is the image's nonroot user, by number so that runAsNonRoot can be checked
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/tipoff"]
CMD ["run"]
