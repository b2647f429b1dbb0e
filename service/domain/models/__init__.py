"""Registry of models: what each endpoint of fal accepts, gives and costs, as data in one file for each family."""
