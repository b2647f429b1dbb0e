"""OpenID Connect: metadata of the provider, one login of a browser, and the operator that claims describe."""
