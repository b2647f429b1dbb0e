"""Budgets, ledger, adjustments and audits in Redis."""
