"""The Pricing API over HTTP, as far as GetProducts goes: products in the price list's own shape, in pages of one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Product = dict[str, Any]


def product(
    service: str,
    usage_type: str,
    amount: str,
    unit: str,
    *,
    operation: str = "",
    effective: str = "2026-09-01T00:00:00Z",
) -> Product:
    """One entry, with what AWS's carries besides."""
    sku = f"SKU{abs(hash((usage_type, operation, amount))) % 10**12:012}"
    rate = {
        "unit": unit, "endRange": "Inf", "beginRange": "0", "appliesTo": [], "rateCode": f"{sku}.JRTCKXETXF.6YS6EN2CT7",
        "description": f"${amount} per {unit} for {usage_type} in US East (N. Virginia)", "pricePerUnit": {"USD": amount},
    }  # fmt: skip
    attributes = {
        "servicecode": service, "regionCode": "us-east-1", "location": "US East (N. Virginia)", "locationType": "AWS Region",
        "usagetype": usage_type, "operation": operation, "servicename": service,
    }  # fmt: skip
    return {
        "product": {"productFamily": service, "attributes": attributes, "sku": sku},
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                f"{sku}.JRTCKXETXF": {
                    "priceDimensions": {f"{sku}.JRTCKXETXF.6YS6EN2CT7": rate}, "sku": sku, "effectiveDate": effective,
                    "offerTermCode": "JRTCKXETXF", "termAttributes": {},
                }
            }
        },
        "version": "20260901000000",
        "publicationDate": effective,
    }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    server: Any

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        wanted = {item["Field"]: item["Value"] for item in asked["Filters"]}
        found = [
            entry
            for entry in self.server.products
            if entry["serviceCode"] == asked["ServiceCode"]
            and all(entry["product"]["attributes"].get(key) == value for key, value in wanted.items())
        ]
        start = int(asked.get("NextToken", 0))
        answer: dict[str, Any] = {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(p) for p in found[start : start + 1]],
        }
        if start + 1 < len(found):
            answer["NextToken"] = str(start + 1)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def price_list(*products: Product) -> Iterator[str]:
    """A server with these products; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.products = list(products)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
