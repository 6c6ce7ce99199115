"""A chain saved to a file and restored from it by LangChain, with a fingerprint that says whether it is the same one.

LangChain writes the names of secrets instead of their values; whoever restores the chain gives the values. Restore only
files that you trust: what is in them decides which classes are made and where requests go.
"""

import tempfile
import warnings
from pathlib import Path

from langchain_core._api import LangChainBetaWarning
from langchain_core.load import dumps, loads
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

import langmeter

KEY = "sk-kept-out-of-the-file"

prompt = ChatPromptTemplate.from_messages([("system", "You answer in {language}."), ("human", "{question}")])
chain = prompt | ChatOpenAI(model="gpt-4o-mini", temperature=0.2, api_key=KEY) | StrOutputParser()

with tempfile.TemporaryDirectory() as directory:
    file = Path(directory, "chain.json")
    file.write_text(dumps(chain, pretty=True), encoding="utf-8")
    saved = file.read_text(encoding="utf-8")

warnings.simplefilter("ignore", LangChainBetaWarning)  # `loads` is in beta
restored = loads(saved, secrets_map={"OPENAI_API_KEY": KEY}, allowed_objects="all")

before, after = langmeter.describe(chain), langmeter.describe(restored)
print(f"saved {before.fingerprint}")
print(f"restored {after.fingerprint}")
print(f"the same configuration: {before == after}")
print(f"the key is in the file: {KEY in saved}")
