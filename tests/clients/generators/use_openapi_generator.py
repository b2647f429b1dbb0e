"""Uses the package that openapi-generator generated. Arguments: URL, API key. Prints JSON."""

import importlib
import json
import pkgutil
import sys
from typing import Any

import generated_by_openapi_generator as generated

url, key = sys.argv[1:]
for module in pkgutil.walk_packages(generated.__path__, "generated_by_openapi_generator."):
    importlib.import_module(module.name)
apis = [value for name, value in vars(generated).items() if name.endswith("Api")]
methods = [name for api in apis for name in vars(api) if not name.startswith("_")]
suffixes = ("_with_http_info", "_without_preload_content")
client = generated.ApiClient(generated.Configuration(host=url, access_token=key))
generations = generated.GenerationsApi(client)
found: dict[str, Any] = {
    "operations": [name for name in methods if not name.endswith(suffixes)],
    "usage": generated.UsageApi(client).read_usage().currency,
}
try:
    generations.create_generation(
        generated.CreateGeneration(
            prompt="too dear",
            image_url="https://v3b.fal.media/a.jpg",
            max_cost_usd=generated.CreateGenerationMaxCostUsd("0.01"),
        )
    )
except generated.ApiException as refused:
    found["402"] = [refused.status, refused.data.code, refused.data.scope.value]
try:
    generations.read_generation("gen_unknown")
except generated.ApiException as refused:
    found["404"] = [refused.status, refused.data.code]
sys.stdout.write(json.dumps(found))
