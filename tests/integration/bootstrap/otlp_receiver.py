"""Stands where a Collector would: real servers that decode real OTLP, and two that misbehave as networks do."""

import contextlib
import gzip
import http.server
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

REQUESTS = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}


class Received:
    """What arrived, flattened: (instance id, …) tuples in the order of arrival."""

    def __init__(self):
        self.spans, self.points, self.logs = [], [], []
        self.resources, self.headers, self.temporalities, self.buckets = [], [], {}, {}
        self.parents = {}
        """Names of parents by the name of the span, "" for a root."""
        self._names = {}
        self.connections = {}
        """Instance ids by the port that the request came from."""
        self.requests = 0
        self.arrived = threading.Condition()

    def add(self, request, headers=(), port=None):
        with self.arrived:
            self.requests += 1
            self.headers.append({key.lower(): value for key, value in headers})
            for part in getattr(request, "resource_spans", ()):
                instance = self._resource(part.resource)
                arrived = [span for scope in part.scope_spans for span in scope.spans]
                self.spans += [(instance, span.name) for span in arrived]
                self._names |= {span.span_id: (span.name, span.parent_span_id) for span in arrived}
                self.parents = {name: self._names.get(above, ("",))[0] for name, above in self._names.values()}
            for part in getattr(request, "resource_logs", ()):
                instance = self._resource(part.resource)
                self.logs += [
                    (instance, log.body.string_value) for scope in part.scope_logs for log in scope.log_records
                ]
            for part in getattr(request, "resource_metrics", ()):
                instance = self._resource(part.resource)
                for metric in [metric for scope in part.scope_metrics for metric in scope.metrics]:
                    self._metric(instance, metric)
            self.connections.setdefault(port, set()).add(self.resources[-1].get("service.instance.id"))
            self.arrived.notify_all()

    def _resource(self, resource):
        attributes = {pair.key: pair.value.string_value for pair in resource.attributes}
        self.resources.append(attributes)
        return attributes.get("service.instance.id")

    def _metric(self, instance, metric):
        kind = metric.WhichOneof("data")
        data = getattr(metric, kind)
        if kind != "gauge":
            self.temporalities[metric.name] = data.aggregation_temporality
        for point in data.data_points:
            if kind == "sum":
                self.points.append((instance, metric.name, point.as_int))
            elif kind == "histogram":
                self.points.append((instance, metric.name, point.sum))
                self.buckets[metric.name] = tuple(point.explicit_bounds)

    def totals(self, name):
        """The last cumulative value of a counter, by instance."""
        return {instance: value for instance, metric, value in self.points if metric == name}

    def wait_for(self, predicate, seconds=30):
        with self.arrived:
            return self.arrived.wait_for(predicate, seconds)


@contextlib.contextmanager
def http_collector(port=0, status=200):
    received = Received()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.add(REQUESTS[self.path].FromString(body), self.headers.items(), self.client_address[1])
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def grpc_collector():
    import grpc

    received = Received()

    def servicer(base, response):
        def export(self, request, context):
            received.add(request, context.invocation_metadata())
            return response()

        return type("Servicer", (base,), {"Export": export})()

    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        servicer(trace_service_pb2_grpc.TraceServiceServicer, trace_service_pb2.ExportTraceServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        servicer(metrics_service_pb2_grpc.MetricsServiceServicer, metrics_service_pb2.ExportMetricsServiceResponse),
        server,
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        servicer(logs_service_pb2_grpc.LogsServiceServicer, logs_service_pb2.ExportLogsServiceResponse), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    received.endpoint = f"http://127.0.0.1:{port}"
    try:
        yield received
    finally:
        server.stop(None).wait()


def free_port():
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def black_hole():
    """An address that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextlib.contextmanager
def dropped_packets():
    """An address whose backlog is full, so that further connection attempts are left unanswered, as by a firewall."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
