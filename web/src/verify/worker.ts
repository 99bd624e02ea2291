// SPDX-License-Identifier: Apache-2.0
// Runs the verifier beside the page, so that the page stays responsive. It never opens a connection.
import { fingerprint, readKeys, readMembers, type VKey } from './keys';
import { verifyReceipt, type Report } from './verify';

export interface Job {
  id: number;
  text: string;
  keys: string;
  members?: string;
}

export interface Answer {
  id: number;
  report: Report | null;
  keys: { name: string; id: string; fingerprint: string }[];
  error: string | null;
}

const show = (keys: VKey[]) => keys.map((k) => ({ name: k.name, id: k.id, fingerprint: fingerprint(k) }));

self.onmessage = ({ data }: MessageEvent<Job>) => {
  const began = performance.now();
  const answer: Answer = { id: data.id, report: null, keys: [], error: null };
  const keys = readKeys(data.keys);
  const members = data.members === undefined ? undefined : readMembers(data.members);
  if (!keys) answer.error = 'keys_malformed';
  else if (members === null) answer.error = 'members_malformed';
  else {
    answer.keys = show(keys);
    if (data.text) {
      const report = verifyReceipt(data.text, members ? { keys, members } : { keys });
      answer.report = { ...report, tookMs: performance.now() - began };
    }
  }
  self.postMessage(answer);
};
