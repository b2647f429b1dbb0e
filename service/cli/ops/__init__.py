"""Commands of operators. They run use cases on Redis directly, without a gateway."""
