// SPDX-License-Identifier: Apache-2.0
// A fresh database in the cluster that the tests were started with (SUANHE_TEST_PG, see tools/pg-test.sh).
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/** @returns {string | undefined} its URL; nothing when there is no cluster */
export function freshPostgres() {
  const url = process.env.SUANHE_TEST_PG;
  if (!url) return undefined;
  const name = `suanhe_${randomBytes(6).toString('hex')}`;
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', url, '-c', `CREATE DATABASE ${name}`]);
  return url.replace(/^(postgresql:\/\/[^/]*\/)[^?]*/, `$1${name}`);
}
