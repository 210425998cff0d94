"""The AWS wire, driven by botocore's own service models: no handler parses HTTP."""
