// SPDX-License-Identifier: Apache-2.0
// The contracts as JSON beside the portal, so that the server gives them out: /openapi.json and /if2/openapi.json.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import yaml from 'js-yaml';

mkdirSync('dist/if2', { recursive: true });
for (const [from, to] of [
  ['../spec/openapi.yaml', 'dist/openapi.json'],
  ['../spec/if2.yaml', 'dist/if2/openapi.json'],
])
  writeFileSync(to, JSON.stringify(yaml.load(readFileSync(from, 'utf8'), { schema: yaml.JSON_SCHEMA })));
