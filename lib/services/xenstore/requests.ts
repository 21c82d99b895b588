/**
 * What each request does. All checks come before the first change, in the order of Xen's, and whatever a client sends is
 * answered.
 *
 * Left out: CONTROL but for help, check and print; the parts that belong to a daemon of its own process (log files, live
 * update).
 *
 * @source docs/misc/xenstore.txt, tools/xenstored/core.c, watch.c, transaction.c
 */
import { XENSTORE, XS } from '../../abi';
import type { Client, Request } from './client';
import { DOMAIN_REQUESTS } from './domain-requests';
import { type Answer, failed, isError, OK, onlyString, stringsOf, toNumber } from './errors';
import { type NodeSpace, Transaction } from './nodes';
import { canonical, isRelative, parentOf } from './paths';
import { formatPermission, OWNER, type Permission, parsePermission, READ, WRITE } from './permissions';
import type { Store } from './store';
import type { Toolstack } from './toolstack';

/** A request being served. */
export interface Call {
  readonly store: Store;
  readonly toolstack: Toolstack;
  readonly client: Client;
  readonly payload: string;
  /** The nodes it sees: the store's, or those of its transaction. */
  readonly space: NodeSpace;
}

export interface RequestKind {
  serve(call: Call): Answer;
  /** Transaction ids in its header mean nothing. */
  readonly ignoresTransaction?: boolean;
  /** Control domains only. */
  readonly privileged?: boolean;
}

const REQUESTS: ReadonlyMap<number, RequestKind> = new Map<number, RequestKind>([
  [XS.XS_DIRECTORY, { serve: directory }],
  [XS.XS_DIRECTORY_PART, { serve: directoryPart }],
  [XS.XS_READ, { serve: read }],
  [XS.XS_WRITE, { serve: write }],
  [XS.XS_MKDIR, { serve: mkdir }],
  [XS.XS_RM, { serve: rm }],
  [XS.XS_GET_PERMS, { serve: getPerms }],
  [XS.XS_SET_PERMS, { serve: setPerms }],
  [XS.XS_WATCH, { serve: watch, ignoresTransaction: true }],
  [XS.XS_UNWATCH, { serve: unwatch, ignoresTransaction: true }],
  [XS.XS_RESET_WATCHES, { serve: resetWatches }],
  [XS.XS_TRANSACTION_START, { serve: transactionStart }],
  ...DOMAIN_REQUESTS,
]);

/** Serves one request; its answer, and the events it causes, wait to be sent afterwards. */
export function serve(store: Store, toolstack: Toolstack, client: Client, request: Request): void {
  const answer = answerTo(store, toolstack, client, request);
  const tooLong = 'payload' in answer && answer.payload.length > XENSTORE.XENSTORE_PAYLOAD_MAX;
  client.answer(request, tooLong ? failed('E2BIG') : answer);
  // The first event of a watch comes after the answer to its request.
  if (request.type === XS.XS_WATCH && answer === OK) fireNewWatch(store, client);
}

/** Serves one request without answering it: what the answer would be. */
export function answerTo(store: Store, toolstack: Toolstack, client: Client, { type, txId, payload }: Request): Answer {
  if (type === XS.XS_TRANSACTION_END) return transactionEnd(store, client, txId, payload);
  const kind = REQUESTS.get(type);
  if (kind === undefined) return failed('ENOSYS');
  if (kind.privileged && !client.privileged) return failed('EACCES');
  const transaction = kind.ignoresTransaction || txId === 0 ? undefined : client.transactions.get(txId);
  if (transaction === undefined && txId !== 0 && !kind.ignoresTransaction) return failed('ENOENT');
  const answer = kind.serve({ store, toolstack, client, payload, space: transaction ?? store.nodes });
  if (transaction !== undefined && transaction.size > store.limit(client, 'transaction-nodes')) {
    transaction.spoilt = true;
    return failed('ENOSPC');
  }
  return answer;
}

function pathOf({ store, client }: Call, text: string | undefined, special = false): string | undefined {
  return canonical(text, client.id, store.limit(client, 'path-max'), special);
}

/** The only argument's node, if the client may do that with it. */
function nodeOf(call: Call, text: string | undefined, access: number, special = false) {
  const path = pathOf(call, text, special);
  return path === undefined ? ({ error: 'EINVAL' } as const) : call.store.find(call.client, call.space, path, access);
}

function listOf(children: readonly string[]): string {
  return children.map((leaf) => `${leaf}\0`).join('');
}

function directory(call: Call): Answer {
  const node = nodeOf(call, onlyString(call.payload), READ);
  return isError(node) ? node : { payload: listOf(node.children) };
}

function directoryPart(call: Call): Answer {
  const [text, from, ...more] = stringsOf(call.payload);
  const offset = toNumber(from);
  if (offset === undefined || more.length > 0) return failed('EINVAL');
  const node = nodeOf(call, text, READ);
  if (isError(node)) return node;
  const generation = `${node.generation}\0`;
  const list = listOf(node.children);
  if (offset >= list.length) return { payload: `${generation}\0` };
  // Whole names only, and room for the empty one that ends the list.
  const room = XENSTORE.XENSTORE_PAYLOAD_MAX - generation.length - 1;
  const rest = list.slice(offset);
  if (rest.length <= room) return { payload: `${generation}${rest}\0` };
  return { payload: generation + rest.slice(0, rest.lastIndexOf('\0', room - 1) + 1) };
}

function read(call: Call): Answer {
  const node = nodeOf(call, onlyString(call.payload), READ);
  return isError(node) ? node : { payload: node.value };
}

function write(call: Call): Answer {
  const { store, client, space, payload } = call;
  const end = payload.indexOf('\0');
  const path = pathOf(call, end < 0 ? undefined : payload.slice(0, end));
  if (path === undefined) return failed('EINVAL');
  const value = payload.slice(end + 1);
  const node = store.find(client, space, path, WRITE);
  if (isError(node) && node.error !== 'ENOENT') return node;
  const error = isError(node)
    ? store.create(client, space, path, value)
    : store.change(client, space, path, { ...node, value });
  if (error !== undefined) return refused(space, error);
  return done(call, path);
}

function mkdir(call: Call): Answer {
  const { store, client, space, payload } = call;
  const path = pathOf(call, onlyString(payload));
  if (path === undefined) return failed('EINVAL');
  const node = store.find(client, space, path, WRITE);
  if (!isError(node)) return OK;
  if (node.error !== 'ENOENT') return node;
  const error = store.create(client, space, path, '');
  if (error !== undefined) return refused(space, error);
  return done(call, path);
}

function rm(call: Call): Answer {
  const { store, client, space, payload } = call;
  const path = pathOf(call, onlyString(payload));
  if (path === undefined) return failed('EINVAL');
  const node = store.find(client, space, path, WRITE);
  if (isError(node)) {
    const parentExists = path !== '/' && space.get(parentOf(path)) !== undefined;
    return node.error === 'ENOENT' && parentExists ? OK : node;
  }
  if (path === '/') return failed('EINVAL');
  store.remove(space, path);
  return OK;
}

function getPerms(call: Call): Answer {
  const node = nodeOf(call, onlyString(call.payload), READ, true);
  return isError(node) ? node : { payload: listOf(node.permissions.map(formatPermission)) };
}

function setPerms(call: Call): Answer {
  const { store, client, space, payload } = call;
  const [text, ...given] = stringsOf(payload);
  if (given.length === 0) return failed('EINVAL');
  if (given.length > store.limit(client, 'permissions')) return failed('ENOSPC');
  const permissions = given.map(parsePermission).filter((each): each is Permission => each !== undefined);
  if (permissions.length < given.length) return failed('EINVAL');
  const path = pathOf(call, text, true);
  if (path === undefined) return failed('EINVAL');
  const node = store.find(client, space, path, WRITE | OWNER);
  if (isError(node)) return node;
  const owner = permissions[0]?.id as number;
  if (!client.privileged && owner !== node.permissions[0]?.id) return failed('EPERM');
  const error = store.change(client, space, path, { ...node, permissions });
  if (error !== undefined) return refused(space, error);
  const now = space.get(path);
  if (now !== undefined) store.changed(space, path, now, false, node.permissions);
  return OK;
}

/** The request has changed or created that node. */
function done({ store, space }: Call, path: string): Answer {
  const node = space.get(path);
  if (node !== undefined) store.changed(space, path, node);
  return OK;
}

/** A change that the quota forbids; of a transaction nothing can be committed then. */
function refused(space: NodeSpace, error: Parameters<typeof failed>[0]): Answer {
  if (space instanceof Transaction) space.spoilt = true;
  return failed(error);
}

function watch(call: Call): Answer {
  const { store, client, payload } = call;
  const [text, token, ...more] = stringsOf(payload);
  const path = pathOf(call, text, true);
  if (token === undefined || more.length > 0 || path === undefined || text === undefined) return failed('EINVAL');
  if (client.watches.some((each) => each.path === path && each.token === token)) return failed('EEXIST');
  if (client.watches.length >= store.limit(client, 'watches')) return failed('E2BIG');
  client.watches.push({ path, token, prefix: isRelative(text) ? path.length - text.length : 0 });
  return OK;
}

function fireNewWatch(store: Store, client: Client): void {
  const added = client.watches.at(-1);
  if (added !== undefined) {
    client.notify(added.path.slice(added.prefix), added.token, store.limit(client, 'memory'));
  }
}

function unwatch(call: Call): Answer {
  const { client, payload } = call;
  const [text, token, ...more] = stringsOf(payload);
  const path = pathOf(call, text, true);
  if (token === undefined || more.length > 0 || path === undefined) return failed('EINVAL');
  const kept = client.watches.filter((each) => each.path !== path || each.token !== token);
  if (kept.length === client.watches.length) return failed('ENOENT');
  client.watches = kept;
  return OK;
}

function resetWatches({ client }: Call): Answer {
  client.watches = [];
  client.transactions.clear();
  return OK;
}

function transactionStart({ store, client, space }: Call): Answer {
  if (space instanceof Transaction) return failed('EBUSY');
  if (client.transactions.size >= store.limit(client, 'transactions')) return failed('ENOSPC');
  return { payload: `${client.begin(new Transaction(store.nodes))}\0` };
}

/** The transaction is over, whatever comes of it, unless the request is malformed. */
function transactionEnd(store: Store, client: Client, txId: number, payload: string): Answer {
  const transaction = client.transactions.get(txId);
  if (txId !== 0 && transaction === undefined) return failed('ENOENT');
  const end = onlyString(payload);
  if (end !== 'T' && end !== 'F') return failed('EINVAL');
  if (transaction === undefined) return failed('ENOENT');
  client.transactions.delete(txId);
  const error = end === 'T' ? store.commit(client, transaction) : undefined;
  return error === undefined ? OK : failed(error);
}
