# make run    set up, then serve the demo on http://127.0.0.1:8000
# make test   set up, then every check and the suite
.PHONY: run test test-slow check bundle constraints docs sbom screenshot format help
BIN := .venv/bin
PORT ?= 8000

run: ## set up and serve the demo (pool, index and server from nothing)
	@sh bootstrap.sh run
	$(BIN)/yuyin demo --port $(PORT)

test: check ## set up, check and run the suite
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: ## what takes longer: real pools, crash tests, the shipped bundle's figures
	@sh bootstrap.sh test
	$(BIN)/pytest -q -rP -m slow --timeout 1500

check: ## format, lint, types, arrows
	@sh bootstrap.sh test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: ## let ruff write the format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bundle: ## make the shipped bundle anew: render, extract, train, export (<= 45 min on 2 cores)
	@sh bootstrap.sh test
	$(BIN)/yuyin dataset synth --pairs 1200 --seed 1 -o build/bundle/dataset
	$(BIN)/yuyin features extract build/bundle/dataset
	$(BIN)/yuyin dataset synth --pairs 200 --seed 2 --test-only -o build/bundle/unseen
	$(BIN)/yuyin features extract build/bundle/unseen
	$(BIN)/python -m model.datasets.synth.valence build/bundle/dataset
	rm -rf build/bundle/run
	$(BIN)/yuyin train build/bundle/dataset --system yuyin --preset lite --seed 1 -o build/bundle/run
	$(BIN)/yuyin export build/bundle/run --test build/bundle/unseen -o model/shipped/lite --force

docs: ## write docs/cli.md, settings.md, errors.md and openapi.json anew
	@sh bootstrap.sh test
	$(BIN)/python docs/generate.py

screenshot: ## let the browser test take the picture of the README anew
	@sh bootstrap.sh test
	YUYIN_SCREENSHOT=docs/audition.png $(BIN)/pytest -q -m slow tests/e2e/test_audition.py -k picture_of_the_page

sbom: ## list what the image installs, as CycloneDX, in build/sbom/yuyin.cdx.json
	@sh bootstrap.sh test
	$(BIN)/uv venv -q --clear build/sbom/env
	$(BIN)/uv pip install -q --python build/sbom/env/bin/python --constraint constraints.txt ".[cpu]"
	$(BIN)/cyclonedx-py environment build/sbom/env/bin/python --pyproject pyproject.toml --of JSON --output-reproducible \
	    -o build/sbom/yuyin.cdx.json

constraints: ## resolve constraints.txt anew, for Python 3.11 to 3.14, with hashes and without addresses (torch has its own way: bootstrap.sh)
	mkdir -p build/constraints && echo "torch ; sys_platform == 'none'" > build/constraints/without.txt
	cd build/constraints && ../../$(BIN)/uv pip compile --universal --overrides without.txt -q --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url --extra cpu --extra train --extra paper --extra emobase --group ../../pyproject.toml:dev ../../pyproject.toml -o all.txt
	awk "/^[a-z]/ { skip = /'none'/ } !skip" build/constraints/all.txt > constraints.txt
	cd build/constraints && ../../$(BIN)/uv pip compile -q --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url --constraint ../../constraints.txt --extra cuda ../../pyproject.toml -o cuda.txt
	awk 'NR == FNR { if (/^[a-z]/) known[$$1] = 1; next } /^[a-z]/ { skip = $$1 in known } !skip' \
	    constraints.txt build/constraints/cuda.txt > constraints.cuda.txt

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile
