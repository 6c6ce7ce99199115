"""Getting more out of LangChain's response caches: streams served from them, adaptive use, keys for ghost mode."""
