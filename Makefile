# Two commands bring everything: `make run` and `make test`. Both set up what they need on a fresh Debian 12 and are quick the
# second time.
SHELL := /bin/sh
.PHONY: run test check bench demo pages torture build portal fuzz format clean
J ?= $(shell nproc)

run: build
	@sh tools/run.sh

test:
	@sh tools/test.sh

build: portal
	@. tools/node-path.sh; cmake --preset release >build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }
	@echo "== building the programs"; . tools/node-path.sh; cmake --build build/release -j $(J) >build/build.log 2>&1 || { tail -n 60 build/build.log; exit 1; }

portal:
	@sh tools/setup.sh build
	@mkdir -p build; sh tools/portal.sh

check:
	@sh tools/check

demo: build
	@sh tools/setup.sh test; sh tools/demo.sh

pages: build
	@sh tools/setup.sh test; sh tools/pages.sh

bench: build
	@sh tools/setup.sh test; sh tools/bench.sh

torture: build
	@sh tools/setup.sh test; sh tools/torture.sh

fuzz:
	@sh tools/setup.sh test; sh tools/fuzz.sh

format:
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format -i

clean:
	rm -rf build web/dist
