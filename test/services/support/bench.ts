/** A store on its own, without a machine: requests in, answers and events out, as text. */
import { XS } from '../../../lib/abi';
import { decodeHeader, HEADER_BYTES } from '../../../lib/guest/xenstore-page';
import { Client } from '../../../lib/services/xenstore/client';
import { toText } from '../../../lib/services/xenstore/errors';
import { initialNodes } from '../../../lib/services/xenstore/initial-nodes';
import { Nodes } from '../../../lib/services/xenstore/nodes';
import { type QuotaName, Quotas } from '../../../lib/services/xenstore/quotas';
import { serve } from '../../../lib/services/xenstore/requests';
import { Store } from '../../../lib/services/xenstore/store';
import type { Toolstack } from '../../../lib/services/xenstore/toolstack';

export type RequestName = keyof typeof XS;

const NAMES = new Map(Object.entries(XS).map(([name, number]) => [number as number, name]));

/** The control domain. */
export const TOOLS = 0;

export class StoreBench {
  readonly store: Store;
  /** What the toolstack was asked. */
  readonly asked: string[] = [];
  private readonly features = new Map<number, number>();
  /** Events sent since they were taken last, in order: `domain path token`. */
  private readonly events: string[] = [];
  private requests = 0;

  /** Domains 1, 2 and 3, and the control domain. */
  constructor(quota: Readonly<Partial<Record<QuotaName, number>>> = {}) {
    const domains = [1, 2, 3].map((id) => ({
      id,
      name: `guest${id}`,
      privileged: false,
      vcpus: 1,
      frames: 64,
      pageAddress: 0x3000,
      remotePort: 1,
      port: id,
    }));
    this.store = new Store(new Nodes(initialNodes(domains)), new Quotas(quota));
    this.store.clients.set(TOOLS, new Client(TOOLS, true));
    for (const { id } of domains) this.store.clients.set(id, new Client(id, false));
  }

  /** The answer's payload; the error's name in front of which stands an exclamation mark. */
  ask(domain: number, name: RequestName, payload = '', txId = 0): string {
    return this.askRaw(domain, XS[name], payload, txId);
  }

  askRaw(domain: number, type: number, payload: string, txId = 0): string {
    const client = this.client(domain);
    const reqId = ++this.requests;
    serve(this.store, this.toolstack(), client, { type, reqId, txId, payload });
    let answer: string | undefined;
    for (const each of this.store.clients.values()) {
      for (const { bytes } of each.queue.splice(0)) {
        const header = decodeHeader(bytes);
        const text = toText(bytes, HEADER_BYTES, bytes.length);
        if (header.type === XS.XS_WATCH_EVENT) this.events.push(`${each.id} ${text.replace(/\0/g, ' ').trim()}`);
        else if (header.reqId !== reqId || header.txId !== txId) throw new Error('an answer to something else');
        else if (header.type === XS.XS_ERROR) answer = `!${text.slice(0, -1)}`;
        else if (header.type !== type) throw new Error(`${NAMES.get(type)} answered as ${NAMES.get(header.type)}`);
        else answer = text;
      }
      each.queued = 0;
    }
    if (answer === undefined) throw new Error('no answer');
    return answer;
  }

  takeEvents(): string[] {
    return this.events.splice(0);
  }

  client(domain: number): Client {
    return this.store.clients.get(domain) as Client;
  }

  private toolstack(): Toolstack {
    return {
      introduce: (id, frame, port) => {
        this.asked.push(`introduce ${id} ${frame} ${port}`);
        if (frame === 999) return { error: 'EINVAL' };
        const isNew = !this.store.clients.has(id);
        if (isNew) this.store.clients.set(id, new Client(id, false));
        return { isNew };
      },
      disconnect: (id) => void this.asked.push(`disconnect ${id}`),
      resume: (id) => void this.asked.push(`resume ${id}`),
      features: (id) => this.features.get(id) ?? 0,
      setFeatures: (id, features) => void this.features.set(id, features),
      print: (text) => void this.asked.push(`print ${text}`),
    };
  }
}
