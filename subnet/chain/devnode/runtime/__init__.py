"""How the ledger looks through the public runtime: metadata, storage, calls and transactions in SCALE."""
