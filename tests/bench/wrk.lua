-- SPDX-License-Identifier: Apache-2.0
-- For wrk: `orders FILE BUYERS` posts one order a request, paid from the balance, each with an Idempotency-Key of its own and by the
-- next buyer of a file of sessions; `search FILE` asks the lines of FILE in turn. The last line printed is for tests/bench/run.mjs.
local what, lines, buyers, at = nil, {}, {}, 0
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

local function read_lines(path, into)
    for line in io.lines(path) do
        into[#into + 1] = line
    end
end

function init(args)
    what = args[1]
    read_lines(args[2], lines)
    if args[3] then
        read_lines(args[3], buyers)
    end
    wrk.headers["Content-Type"] = "application/json"
end

function request()
    local line = lines[at % #lines + 1]
    at = at + 1
    if what == "search" then
        return wrk.format("GET", line)
    end
    local sku, fen = line:match("(%S+) (%S+)")
    local token, csrf = buyers[at % #buyers + 1]:match("(%S+) (%S+)")
    wrk.headers["Cookie"] = "suanhe=" .. token
    wrk.headers["X-CSRF-Token"] = csrf
    wrk.headers["Idempotency-Key"] = os.getenv("BENCH_RUN") .. "-" .. number .. "-" .. at
    return wrk.format("POST", "/api/v1/orders", nil,
        '{"lines":[{"sku_id":"' .. sku .. '","quantity":1}],"expected_payable_fen":' .. fen .. ',"pay_from_balance":true}')
end

function done(summary, latency, requests)
    local e = summary.errors
    print(string.format("RESULT %d %d %d %d %d", summary.requests, summary.duration,
        e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
