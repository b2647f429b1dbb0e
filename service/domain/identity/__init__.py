"""Identity of services: trusted issuers, their key sets, and the tokens (JWT) that they sign."""
