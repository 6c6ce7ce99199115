"""What LangChain objects are configured to do, as redacted JSON-ready values: what `langmeter.describe` is made of."""
