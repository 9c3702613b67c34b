#!/bin/sh
# Builds the Go client of api/grpc/README.md, with gRPC for Go from the module proxy.
#
#   tests/integration/grpc_go.sh      once, below build/grpc-go; prints the path of the program
#
# The program takes the address of a replica.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/build/grpc-go

mkdir -p "$folder/proto/muster/v1"
exec 9>"$folder/lock"
flock -w 600 9
cp "$root/api/grpc/proto/registry.proto" "$folder/proto/muster/v1/registry.proto"
{
    cat <<'EOF'
package main

import (
	"context"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example/muster"
)

func main() {
	ctx := context.Background()
EOF
    sed -n '/^```go$/,/^```$/p' "$root/api/grpc/README.md" | grep -v '^```' | sed 's/"127.0.0.1:9000"/os.Args[1]/'
    echo '}'
} >"$folder/main.go.new"
if ! cmp -s "$folder/main.go.new" "$folder/main.go" || [ ! "$folder/client" -nt "$root/tests/integration/grpc_go.sh" ]; then
    cp "$folder/main.go.new" "$folder/main.go"
    cd "$folder"
    export GOBIN="$folder/bin" GOFLAGS=-mod=mod GOTOOLCHAIN=auto
    [ -f go.mod ] || go mod init example >&2
    go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 >&2
    go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2 >&2
    mkdir -p muster
    PATH="$folder/bin:$PATH" protoc -I proto --go_out=. --go-grpc_out=. --go_opt=module=example \
        --go-grpc_opt=module=example --go_opt=Mmuster/v1/registry.proto=example/muster \
        --go-grpc_opt=Mmuster/v1/registry.proto=example/muster muster/v1/registry.proto >&2
    go get google.golang.org/grpc@v1.85.0 >&2
    go mod tidy >&2
    go build -o client . >&2
fi
echo "$folder/client"
