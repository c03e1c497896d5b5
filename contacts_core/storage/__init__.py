"""The library's own database: runs, receipts, tombstones, leases, and the keys that protect them."""
