/**
 * The store in the hands of a scenario's set-up: it may read and change nodes as a control domain, before any vCPU runs. Changes
 * take effect at once for later calls of the set-up, and reach xenstored as a journal.
 */
import { XenbusState, XS } from '../../abi';
import { XenstoreError } from '../../guest/xenstore-client';
import type { Memory } from '../../memory/memory';
import type { ServiceConfig } from '../service';
import { Client } from './client';
import { failed, toBytes, toText } from './errors';
import { initialNodes } from './initial-nodes';
import { appendToJournal } from './journal';
import { Nodes } from './nodes';
import { Quotas } from './quotas';
import { answerTo } from './requests';
import { Store } from './store';
import type { Toolstack } from './toolstack';

/** Requests about domains are none of a set-up's. */
const NO_TOOLSTACK: Toolstack = {
  introduce: () => ({ error: 'EINVAL' }),
  disconnect() {},
  resume() {},
  features: () => 0,
  setFeatures() {},
  print() {},
};

/** A split device between two domains. */
export interface DeviceEnds {
  /** `vbd`, `vif`. */
  readonly type: string;
  readonly id: number | string;
  /** Ids of the domains. */
  readonly frontend: number;
  readonly backend: number;
  /** Further nodes of the front end's directory. */
  readonly frontendNodes?: Readonly<Record<string, string | number>>;
  readonly backendNodes?: Readonly<Record<string, string | number>>;
}

/** Each call throws XenstoreError. Values are text; relative paths are those of Domain-0. */
export class SetupStore {
  private readonly store: Store;
  private readonly client = new Client(0, true);

  /**
   * @param memory - Domain-0's
   * @param journal - address in it
   */
  constructor(
    { domains }: ServiceConfig,
    private readonly memory: Memory,
    private readonly journal: number,
  ) {
    this.store = new Store(new Nodes(initialNodes(domains)), new Quotas({}));
  }

  /** @throws XenstoreError ENOENT */
  read(path: string): string {
    const payload = this.ask('XS_READ', path, `${path}\0`);
    return new TextDecoder().decode(toBytes(payload));
  }

  directory(path: string): string[] {
    return this.ask('XS_DIRECTORY', path, `${path}\0`).split('\0').slice(0, -1);
  }

  /** Creates what is missing of the path. */
  write(path: string, value: string | number): void {
    this.change('XS_WRITE', path, `${path}\0${bytesOf(String(value))}`);
  }

  mkdir(path: string): void {
    this.change('XS_MKDIR', path, `${path}\0`);
  }

  rm(path: string): void {
    this.change('XS_RM', path, `${path}\0`);
  }

  /** `n1`, `r2`: the first names the owner, and what everybody else may. */
  setPermissions(path: string, permissions: readonly string[]): void {
    this.change('XS_SET_PERMS', path, [path, ...permissions, ''].join('\0'));
  }

  /**
   * Makes the two ends of a split device, as libxl does: each domain may write its own end's directory and read the other's, and
   * a front end cannot change who its back end is.
   * @returns the paths of the two ends
   */
  addDevice({ type, id, frontend, backend, frontendNodes = {}, backendNodes = {} }: DeviceEnds): {
    readonly frontend: string;
    readonly backend: string;
  } {
    const front = `/local/domain/${frontend}/device/${type}/${id}`;
    const back = `/local/domain/${backend}/backend/${type}/${frontend}/${id}`;
    const state = XenbusState.XenbusStateInitialising;
    const link = { backend: back, 'backend-id': backend };
    this.addEnd(front, [`n${frontend}`, `r${backend}`], { ...frontendNodes, state });
    for (const [name, value] of Object.entries(link)) {
      this.write(`${front}/${name}`, value);
      this.setPermissions(`${front}/${name}`, [`n${backend}`, `r${frontend}`]);
    }
    const nodes = { frontend: front, 'frontend-id': frontend, online: 1, ...backendNodes, state };
    this.addEnd(back, [`n${backend}`, `r${frontend}`], nodes);
    return { frontend: front, backend: back };
  }

  private addEnd(path: string, permissions: readonly string[], nodes: Readonly<Record<string, string | number>>): void {
    this.mkdir(path);
    this.setPermissions(path, permissions);
    for (const [name, value] of Object.entries(nodes)) this.write(`${path}/${name}`, value);
  }

  private change(name: keyof typeof XS, path: string, payload: string): void {
    this.ask(name, path, payload);
    appendToJournal(this.memory, this.journal, XS[name], payload);
  }

  private ask(name: keyof typeof XS, path: string, payload: string): string {
    const request = { type: XS[name], reqId: 0, txId: 0, payload };
    const tooLong = payload.length > 4096;
    const answer = tooLong ? failed('E2BIG') : answerTo(this.store, NO_TOOLSTACK, this.client, request);
    if ('error' in answer) throw new XenstoreError(name, path, answer.error);
    return answer.payload;
  }
}

function bytesOf(text: string): string {
  const bytes = new TextEncoder().encode(text);
  return toText(bytes, 0, bytes.length);
}
