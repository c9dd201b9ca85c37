"""Floor 10: what the work is worth. Facts folded from the ledger, rollups, prices, baselines, targets, dashboards."""
