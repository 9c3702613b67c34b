"""Clients of gRPC, by Debian's grpcio or the one of a virtual environment (grpc_long.sh): modules made of api/grpc/proto,
and calls by their path."""
import importlib.util
import os
import subprocess
import sys
import tempfile

import grpc

from cluster import ROOT, clean_environment

PROTO = os.path.join(ROOT, "api", "grpc", "proto")
FILES = {"registry.proto": "muster/v1/registry.proto", "registry_service.proto": "registry_service.proto",
         "discovery_service.proto": "discovery_service.proto"}
_folder = tempfile.TemporaryDirectory(prefix="muster-proto-")


def _make():
    source = os.path.join(_folder.name, "source")
    for file, name in FILES.items():
        os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
        os.link(os.path.join(PROTO, file), os.path.join(source, name)) if os.stat(PROTO).st_dev == os.stat(
            _folder.name).st_dev else open(os.path.join(source, name), "wb").write(
                open(os.path.join(PROTO, file), "rb").read())
    # Each grpcio has its own compiler: what another one makes need not work with it.
    compiler = ([sys.executable, "-m", "grpc_tools.protoc"] if importlib.util.find_spec("grpc_tools") else
                ["protoc", "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin"])
    subprocess.run([*compiler, "-I", source, "--python_out=" + _folder.name, "--grpc_python_out=" + _folder.name,
                    *FILES.values()], env=clean_environment(), timeout=60, check=True)
    sys.path.insert(0, _folder.name)


_make()
from muster.v1 import registry_pb2 as m, registry_pb2_grpc  # noqa: E402,F401
import discovery_service_pb2 as ds, discovery_service_pb2_grpc  # noqa: E402,F401,E401
import registry_service_pb2 as rs, registry_service_pb2_grpc  # noqa: E402,F401,E401

FOLDER = _folder.name  # where these modules are
OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]


class Client:
    """A channel with the stubs of all services."""

    def __init__(self, port, credentials=None, **more):
        self.address = "127.0.0.1:%d" % port
        options = [*OPTIONS, *more.items()]
        self.channel = (grpc.secure_channel(self.address, credentials, options) if credentials else
                        grpc.insecure_channel(self.address, options))
        self.registry = registry_pb2_grpc.RegistryStub(self.channel)
        self.old = registry_service_pb2_grpc.RegistryServiceStub(self.channel)
        self.finder = discovery_service_pb2_grpc.DiscoveryServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def bytes_unary(self, path, body, **more):
        """A call of bytes that are its message."""
        return self.channel.unary_unary(path)(body, timeout=10, **more)

    def bytes_talk(self, path, bodies, timeout=10):
        return self.channel.stream_stream(path)(iter(bodies), timeout=timeout)

    def register(self, name, id="", **fields):
        instance = m.Instance(name=name, id=id, **{"host": "10.0.0.1", "port": 8080, **fields})
        return self.registry.Register(m.RegisterRequest(instance=instance), timeout=15)


def code_of(call):
    """The status of a call that fails, and its message."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("it did not fail")
