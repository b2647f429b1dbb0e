"""The generated files of the Helm chart: ``values.schema.json``, ``values.yaml`` and its README.

The models of ``values`` are their one source: names, types, defaults and descriptions. ``settings`` adds the schema of
the variables ``GATEWAY_*``. ``files`` makes the texts.
"""
