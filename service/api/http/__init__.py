"""HTTP mechanics that all routes share: middleware, errors, responses, ranges, multipart."""
