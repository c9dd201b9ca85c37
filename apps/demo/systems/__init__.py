"""The sample company's systems of record: ERP, CRM, ticket desk and mail sink behind one small HTTP server.

They stand for what a company already has, so they know nothing of the control plane: own process, own storage, own
bearer token per system. `python -m apps.demo.systems --port 8099 --data-dir DIR` starts them.
"""
