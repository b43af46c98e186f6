// A few nodes, what starts them, and what answers for Prometheus about them.
import { createServer } from 'node:http';

export class Nodes {
  #up = new Map();

  async start() {
    this.server = createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  crash(node) { this.#up.set(node, 0); }

  runs(node) { return this.#up.get(node) === 1; }

  async #answer(request, response) {
    const [, node, verb] = /^\/([a-z0-9-]+)\/(restart)$/.exec(request.url) ?? [];
    if (verb) {
      this.#up.set(node, 1);
      return response.end(`${node} runs\n`);
    }
    let body = '';
    for await (const piece of request) body += piece;
    const url = new URL(request.url, this.url);
    const form = new URLSearchParams(url.search.slice(1) + (body ? `&${body}` : ''));
    const result = this.#series(form.get('query') ?? '', url.pathname.endsWith('/query_range') && form);
    response.setHeader('Content-Type', 'application/json');
    return response.end(JSON.stringify({ status: 'success', data: { resultType: url.pathname.endsWith('/query_range') ? 'matrix' : 'vector', result } }));
  }

  /** What an expression such as up{instance="node-east-1:9090"} == 0 gives, now or over a time. */
  #series(expr, range) {
    const [, node, , limit] = /^up\{instance="([a-z0-9-]+):9090"\}( == ([01]))?$/.exec(expr) ?? [];
    if (!node) return [];
    const up = this.#up.get(node) ?? 1;
    const metric = { __name__: 'up', instance: `${node}:9090`, job: 'chain' };
    if (!range) return limit !== undefined && Number(limit) !== up ? [] : [{ metric, value: [Date.now() / 1000, String(up)] }];
    const [start, end, step] = ['start', 'end', 'step'].map((name) => Number.parseFloat(range.get(name)));
    const values = [];
    for (let at = start; at <= end && step > 0; at += step) values.push([at, at < end - 300 ? '1' : String(up)]);
    return [{ metric, values }];
  }
}
