"""The demo: a LangChain application and the model provider that it talks to, both on this machine."""
