# Tocsin. `make` or `make help` lists what there is.

export GOTOOLCHAIN ?= local
export GOFLAGS ?= -mod=readonly

BIN      := bin
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -X main.version=$(VERSION)
# The race detector needs a C compiler; without one the tests run without it.
CC_FOUND := $(shell command -v $${CC:-cc} 2>/dev/null)
RACE     := $(if $(CC_FOUND),-race,)
PKGS     ?= ./...
FUZZTIME ?= 10s
LINT     := $(BIN)/golangci-lint

.PHONY: help run build test test-peers test-browser search-secrets docs-images lint fuzz bench docs demo-once clean

help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build and start the demo: emulated Slack and PagerDuty, a scripted incident.
	$(BIN)/tocsin demo

build: ## Build bin/tocsin.
	@mkdir -p $(BIN)
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/tocsin ./cmd/tocsin

test: ## Run all tests, with the race detector where a C compiler is found.
	go test $(RACE) -shuffle=on -timeout 20m $(PKGS)
	$(if $(RACE),go test -run TestRestoreRefuses ./storage/bolt # where pages were overwritten: the race detector's pointer check ends the program)

test-peers: build test/peers/node_modules/.package-lock.json ## Run the vendors' and Alertmanager's own clients and an OpenID Connect provider against Tocsin and its emulators; wants npm.
	go build -o $(BIN)/leak-search ./test/leak/search
	cd test/peers/alertmanager && go test -count=1 .
	go build -o $(BIN)/peers-world ./test/peers/world
	cd test/peers && node --test --test-reporter=spec tests/*.test.mjs

test/peers/node_modules/.package-lock.json: test/peers/package-lock.json
	cd test/peers && npm ci --no-fund --no-audit
	@touch $@

test-browser: build test/browser/node_modules/.package-lock.json ## Look at the pages and work with them in a real Chromium; wants npm and chromium.
	go build -o $(BIN)/peers-world ./test/peers/world
	cd test/browser && node --test --test-concurrency=1 --test-reporter=spec tests/*.test.mjs

search-secrets: ## Search what the tests have printed and left (files and folders in LEFT) for their secrets, as .ci/run does.
	go run ./test/leak/search $(LEFT)

docs-images: build test/browser/node_modules/.package-lock.json ## Take the pictures of docs/images anew, as test-browser does.
	go build -o $(BIN)/peers-world ./test/peers/world
	cd test/browser && IMAGES=$(CURDIR)/docs/images node --test --test-reporter=spec tests/pages.test.mjs

test/browser/node_modules/.package-lock.json: test/browser/package-lock.json
	cd test/browser && npm ci --no-fund --no-audit
	@touch $@

lint: $(LINT) ## Run the linter, as CI does.
	$(LINT) run ./...

$(LINT): tools/go.mod tools/go.sum
	@mkdir -p $(BIN)
	cd tools && go build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fuzz: ## Run every fuzz target for FUZZTIME (10s) each.
	@for pkg in $$(go list ./...); do \
	  dir=$$(go list -f '{{.Dir}}' $$pkg); \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go 2>/dev/null | sed 's/^func //'); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
	  done; \
	done

bench: build ## Measure the pipeline beside a real Alertmanager; see docs/benchmarks.md.
	go run ./test/bench -tocsin $(BIN)/tocsin

docs: ## Write the generated documents anew.
	go test ./config -update

demo-once: build ## Play the demo's script to its end; exit 0 only if everything arrived.
	$(BIN)/tocsin demo --once

clean: ## Remove what was built.
	rm -rf $(BIN)
