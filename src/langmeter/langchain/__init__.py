"""Everything that knows LangChain: handler, frames, caches, extraction. Nothing else of langmeter imports it."""
