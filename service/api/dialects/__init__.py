"""APIs that video clients already speak, each a translation onto the use cases of ``/v1``."""
