"""Use cases of operators: audit, unconfirmed submits, adjustments, account metrics, doctor."""
