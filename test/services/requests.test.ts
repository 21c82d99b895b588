/**
 * What the store answers, request by request: the protocol as a table. A row is a domain, a request, its payload and the answer;
 * `|` stands for NUL, `!` in front of an error's name. Rows of a table share one store.
 */
import { expect } from 'chai';
import type { RequestName } from './support/bench';
import { StoreBench, TOOLS } from './support/bench';

type Row = readonly [domain: number, name: RequestName, payload: string, answer: string];

const nul = (text: string): string => text.replaceAll('|', '\0');

function follow(rows: readonly Row[], bench = new StoreBench()): StoreBench {
  rows.forEach(([domain, name, payload, answer], row) => {
    const given = bench.ask(domain, name, nul(payload)).replaceAll('\0', '|');
    expect(given, `row ${row}: ${name} ${payload} of domain ${domain}`).to.equal(answer);
  });
  expect(bench.store.isConsistent()).to.equal(true);
  return bench;
}

const TABLES: Readonly<Record<string, readonly Row[]>> = {
  'reads and writes nodes of a domain, by relative and by whole path': [
    [1, 'XS_WRITE', 'data/x|1', 'OK|'],
    [1, 'XS_READ', 'data/x|', '1'],
    [1, 'XS_READ', '/local/domain/1/data/x|', '1'],
    [1, 'XS_WRITE', 'data/x|', 'OK|'],
    [1, 'XS_READ', 'data/x|', ''],
    [1, 'XS_WRITE', 'data/x|a|b|', 'OK|'],
    [1, 'XS_READ', 'data/x|', 'a|b|'],
  ],
  'creates missing parents with empty values': [
    [1, 'XS_WRITE', 'data/a/b/c|deep', 'OK|'],
    [1, 'XS_READ', 'data/a/b|', ''],
    [1, 'XS_DIRECTORY', 'data/a|', 'b|'],
    [1, 'XS_MKDIR', 'data/a/b/d|', 'OK|'],
    [1, 'XS_DIRECTORY', 'data/a/b|', 'c|d|'],
    [1, 'XS_MKDIR', 'data/a/b/c|', 'OK|'],
    [1, 'XS_READ', 'data/a/b/c|', 'deep'],
    [1, 'XS_DIRECTORY', 'data/a/b/c|', ''],
  ],
  'removes a node with all below it; a missing one only if its parent exists': [
    [1, 'XS_WRITE', 'data/a/b/c|1', 'OK|'],
    [1, 'XS_RM', 'data/a|', 'OK|'],
    [1, 'XS_READ', 'data/a/b/c|', '!ENOENT'],
    [1, 'XS_DIRECTORY', 'data|', ''],
    [1, 'XS_RM', 'data/a|', 'OK|'],
    [1, 'XS_RM', 'data/a/b|', '!ENOENT'],
    [TOOLS, 'XS_RM', '/|', '!EINVAL'],
  ],
  'finds what libxl makes of a domain': [
    [
      1,
      'XS_DIRECTORY',
      '/local/domain/1|',
      'vm|name|domid|cpu|memory|device|backend|control|attr|data|drivers|error|feature|store|',
    ],
    [1, 'XS_READ', 'name|', 'guest1'],
    [1, 'XS_READ', 'domid|', '1'],
    [1, 'XS_READ', 'cpu/0/availability|', 'online'],
    [1, 'XS_READ', 'memory/target|', '256'],
    [1, 'XS_READ', 'store/port|', '1'],
    [1, 'XS_READ', 'store/ring-ref|', '3'],
    [1, 'XS_READ', '/vm/00000000-0000-0000-0000-000000000001/name|', 'guest1'],
    [1, 'XS_WRITE', 'name|other', '!EACCES'],
    [1, 'XS_GET_PERMS', 'data|', 'n1|'],
    [1, 'XS_GET_PERMS', 'name|', 'n0|r1|'],
  ],
  'refuses malformed paths': [
    [1, 'XS_READ', '', '!EINVAL'],
    [1, 'XS_READ', 'data', '!EINVAL'],
    [1, 'XS_READ', '|', '!EINVAL'],
    [1, 'XS_READ', 'data|x|', '!EINVAL'],
    [1, 'XS_READ', 'data/|', '!EINVAL'],
    [1, 'XS_READ', '//data|', '!EINVAL'],
    [1, 'XS_READ', 'da ta|', '!EINVAL'],
    [1, 'XS_READ', 'dat\u00e4|', '!EINVAL'],
    [1, 'XS_READ', '@releaseDomain|', '!EINVAL'],
    [1, 'XS_WRITE', 'data', '!EINVAL'],
    [1, 'XS_MKDIR', 'data//x|', '!EINVAL'],
    [1, 'XS_RM', `${'x'.repeat(3073)}|`, '!EINVAL'],
    [TOOLS, 'XS_READ', `/${'x'.repeat(3072)}|`, '!EINVAL'],
    [TOOLS, 'XS_READ', `/${'x'.repeat(3071)}|`, '!ENOENT'],
    [1, 'XS_MKDIR', `${'x'.repeat(2049)}|`, '!EINVAL'],
  ],
  'tells nothing of what a domain may not see, not even whether it is there': [
    [1, 'XS_WRITE', 'data/x|1', 'OK|'],
    [2, 'XS_READ', '/local/domain/1/data/x|', '!EACCES'],
    [2, 'XS_READ', '/local/domain/1/data/y|', '!EACCES'],
    [2, 'XS_DIRECTORY', '/local/domain|', '!EACCES'],
    [2, 'XS_WRITE', '/local/domain/1/data/x|2', '!EACCES'],
    [2, 'XS_RM', '/local/domain/1/data/x|', '!EACCES'],
    [2, 'XS_SET_PERMS', '/local/domain/1/data/x|n2|', '!EACCES'],
    [2, 'XS_READ', 'data/y|', '!ENOENT'],
    [TOOLS, 'XS_READ', '/local/domain/1/data/x|', '1'],
  ],
  'grants access by permissions, and hands them on to new children': [
    [1, 'XS_WRITE', 'data/x|1', 'OK|'],
    [1, 'XS_SET_PERMS', 'data/x|n1|r2|b3|', 'OK|'],
    [1, 'XS_GET_PERMS', 'data/x|', 'n1|r2|b3|'],
    [2, 'XS_READ', '/local/domain/1/data/x|', '1'],
    [2, 'XS_WRITE', '/local/domain/1/data/x|2', '!EACCES'],
    [3, 'XS_WRITE', '/local/domain/1/data/x|3', 'OK|'],
    // What an unprivileged domain creates is its own.
    [3, 'XS_WRITE', '/local/domain/1/data/x/y|4', 'OK|'],
    [TOOLS, 'XS_GET_PERMS', '/local/domain/1/data/x/y|', 'n3|r2|b3|'],
    [1, 'XS_SET_PERMS', 'data/x|w1|', 'OK|'],
    [2, 'XS_WRITE', '/local/domain/1/data/x|5', 'OK|'],
    [2, 'XS_READ', '/local/domain/1/data/x|', '!EACCES'],
  ],
  'lets owners alone change permissions, and control domains alone owners': [
    [1, 'XS_WRITE', 'data/x|1', 'OK|'],
    [1, 'XS_SET_PERMS', 'data/x|b2|', '!EPERM'],
    [1, 'XS_SET_PERMS', 'data/x|', '!EINVAL'],
    [1, 'XS_SET_PERMS', 'data/x|q1|', '!EINVAL'],
    [1, 'XS_SET_PERMS', 'data/x|n|', '!EINVAL'],
    [1, 'XS_SET_PERMS', 'data/x|n1|b2|', 'OK|'],
    [2, 'XS_SET_PERMS', '/local/domain/1/data/x|n1|', '!EACCES'],
    [TOOLS, 'XS_SET_PERMS', '/local/domain/1/data/x|n2|', 'OK|'],
    [1, 'XS_READ', 'data/x|', '!EACCES'],
    [2, 'XS_READ', '/local/domain/1/data/x|', '1'],
  ],
  'answers unknown requests, and those for control domains only': [
    [1, 'XS_WATCH_EVENT', 'data|x|', '!ENOSYS'],
    [1, 'XS_ERROR', 'EINVAL|', '!ENOSYS'],
    [1, 'XS_INVALID', '', '!ENOSYS'],
    [1, 'XS_TYPE_COUNT', '', '!ENOSYS'],
    [1, 'XS_CONTROL', 'help|', '!EACCES'],
    [1, 'XS_INTRODUCE', '2|3|1|', '!EACCES'],
    [1, 'XS_RELEASE', '2|', '!EACCES'],
    [1, 'XS_IS_DOMAIN_INTRODUCED', '2|', '!EACCES'],
    [1, 'XS_RESUME', '2|', '!EACCES'],
    [1, 'XS_SET_TARGET', '1|2|', '!EACCES'],
    [1, 'XS_GET_FEATURE', '', '!EACCES'],
    [1, 'XS_SET_FEATURE', '1|1|', '!EACCES'],
    [1, 'XS_GET_QUOTA', '', '!EACCES'],
    [1, 'XS_SET_QUOTA', 'nodes|1|', '!EACCES'],
    [TOOLS, 'XS_CONTROL', 'help|', 'check help print|'],
    [TOOLS, 'XS_CONTROL', 'check|', 'OK|'],
    [TOOLS, 'XS_CONTROL', 'print|hello|', 'OK|'],
    [TOOLS, 'XS_CONTROL', 'explode|', '!EINVAL'],
    [TOOLS, 'XS_CONTROL', '', '!EINVAL'],
  ],
  'knows domains': [
    [1, 'XS_GET_DOMAIN_PATH', '7|', '/local/domain/7|'],
    [1, 'XS_GET_DOMAIN_PATH', '007|', '/local/domain/7|'],
    [1, 'XS_GET_DOMAIN_PATH', 'x|', '!EINVAL'],
    [TOOLS, 'XS_IS_DOMAIN_INTRODUCED', '1|', 'T|'],
    [TOOLS, 'XS_IS_DOMAIN_INTRODUCED', '32752|', 'T|'],
    [TOOLS, 'XS_IS_DOMAIN_INTRODUCED', '9|', 'F|'],
    [TOOLS, 'XS_INTRODUCE', '9|3|1|', 'OK|'],
    [TOOLS, 'XS_IS_DOMAIN_INTRODUCED', '9|', 'T|'],
    [TOOLS, 'XS_INTRODUCE', '9|999|1|', '!EINVAL'],
    [TOOLS, 'XS_INTRODUCE', '9|3|0|', '!EINVAL'],
    [TOOLS, 'XS_INTRODUCE', '0|3|1|', '!EINVAL'],
    [TOOLS, 'XS_INTRODUCE', '40000|3|1|', '!EINVAL'],
    [TOOLS, 'XS_INTRODUCE', '9|3|', '!EINVAL'],
    [TOOLS, 'XS_RELEASE', '9|', 'OK|'],
    [TOOLS, 'XS_RELEASE', '9|', '!ENOENT'],
    [TOOLS, 'XS_RELEASE', '0|', '!EINVAL'],
    [TOOLS, 'XS_RESUME', '1|', 'OK|'],
    [TOOLS, 'XS_RESUME', '9|', '!ENOENT'],
  ],
  'gives a domain the rights of its target': [
    [1, 'XS_WRITE', 'data/x|1', 'OK|'],
    [3, 'XS_READ', '/local/domain/1/data/x|', '!EACCES'],
    [TOOLS, 'XS_SET_TARGET', '3|1|', 'OK|'],
    [3, 'XS_READ', '/local/domain/1/data/x|', '1'],
    [3, 'XS_WRITE', '/local/domain/1/data/x|3', 'OK|'],
    [TOOLS, 'XS_SET_TARGET', '3|9|', '!ENOENT'],
    [TOOLS, 'XS_SET_TARGET', '3|', '!EINVAL'],
  ],
  'has features and quotas, for all and for one domain': [
    [TOOLS, 'XS_GET_FEATURE', '', '3|'],
    [TOOLS, 'XS_SET_FEATURE', '1|1|', 'OK|'],
    [TOOLS, 'XS_GET_FEATURE', '1|', '1|'],
    [TOOLS, 'XS_SET_FEATURE', '1|4|', '!EINVAL'],
    [TOOLS, 'XS_SET_FEATURE', '9|1|', '!ENOENT'],
    [
      TOOLS,
      'XS_GET_QUOTA',
      '',
      'nodes watches transactions node-size permissions outstanding transaction-nodes path-max memory|',
    ],
    [TOOLS, 'XS_GET_QUOTA', 'nodes|', '1000|'],
    [TOOLS, 'XS_SET_QUOTA', 'nodes|500|', 'OK|'],
    [TOOLS, 'XS_SET_QUOTA', '1|nodes|7|', 'OK|'],
    [TOOLS, 'XS_GET_QUOTA', '1|nodes|', '7|'],
    [TOOLS, 'XS_GET_QUOTA', '2|nodes|', '500|'],
    [TOOLS, 'XS_GET_QUOTA', '9|nodes|', '!ENOENT'],
    [TOOLS, 'XS_GET_QUOTA', 'beer|', '!EINVAL'],
    [TOOLS, 'XS_SET_QUOTA', 'nodes|lots|', '!EINVAL'],
    [TOOLS, 'XS_SET_QUOTA', 'nodes|', '!EINVAL'],
  ],
};

describe('xenstored', () => {
  for (const [sentence, rows] of Object.entries(TABLES)) it(sentence, () => void follow(rows));

  describe('watches', () => {
    it('fire once when they are set, then for every change at or below the path', () => {
      const bench = follow([[1, 'XS_WATCH', 'data|t|', 'OK|']]);
      expect(bench.takeEvents()).to.deep.equal(['1 data t']);
      follow(
        [
          [1, 'XS_WRITE', 'data/a/b|1', 'OK|'],
          [1, 'XS_WRITE', 'data/a/b|1', 'OK|'],
          [1, 'XS_MKDIR', 'data/a/b|', 'OK|'],
          [1, 'XS_SET_PERMS', 'data/a|n1|r2|', 'OK|'],
          [1, 'XS_WRITE', 'feature/x|', 'OK|'],
        ],
        bench,
      );
      expect(bench.takeEvents()).to.deep.equal(['1 data/a/b t', '1 data/a/b t', '1 data/a t']);
    });

    it('name the path as the watch was given', () => {
      const bench = follow([
        [1, 'XS_WATCH', '/local/domain/1/data|whole|', 'OK|'],
        [1, 'XS_WATCH', 'data|relative|', 'OK|'],
        [1, 'XS_WRITE', 'data/x|', 'OK|'],
      ]);
      expect(bench.takeEvents().slice(2)).to.deep.equal(['1 /local/domain/1/data/x whole', '1 data/x relative']);
    });

    it('are told of a removed parent by their own path', () => {
      const bench = follow([
        [1, 'XS_WRITE', 'data/a/b/c|', 'OK|'],
        [1, 'XS_WATCH', 'data/a/b|below|', 'OK|'],
        [1, 'XS_WATCH', 'data|above|', 'OK|'],
        [1, 'XS_RM', 'data/a|', 'OK|'],
      ]);
      expect(bench.takeEvents().slice(2)).to.deep.equal(['1 data/a/b below', '1 data/a above']);
    });

    it('are kept apart by path and token, and limited', () => {
      follow(
        [
          [1, 'XS_WATCH', 'data|t|', 'OK|'],
          [1, 'XS_WATCH', 'data|t|', '!EEXIST'],
          [1, 'XS_WATCH', 'data|u|', 'OK|'],
          [1, 'XS_WATCH', 'data|v|', '!E2BIG'],
          [1, 'XS_UNWATCH', 'data|w|', '!ENOENT'],
          [1, 'XS_UNWATCH', 'data|u|', 'OK|'],
          [1, 'XS_WATCH', 'data|v|', 'OK|'],
          [1, 'XS_RESET_WATCHES', '|', 'OK|'],
          [1, 'XS_UNWATCH', 'data|v|', '!ENOENT'],
          [1, 'XS_WATCH', 'data|', '!EINVAL'],
          [1, 'XS_WATCH', 'data|t|3|', '!EINVAL'],
          [1, 'XS_WATCH', 'data/|t|', '!EINVAL'],
          [1, 'XS_UNWATCH', 'data|', '!EINVAL'],
        ],
        new StoreBench({ watches: 2 }),
      );
    });

    it('tell a domain nothing of what it may not read', () => {
      const bench = follow([
        [2, 'XS_WATCH', '/local/domain/1/data|t|', 'OK|'],
        [1, 'XS_WRITE', 'data/secret|1', 'OK|'],
      ]);
      expect(bench.takeEvents()).to.deep.equal(['2 /local/domain/1/data t']);
      follow([[1, 'XS_SET_PERMS', 'data/secret|n1|r2|', 'OK|']], bench);
      expect(bench.takeEvents(), 'it may now').to.deep.equal(['2 /local/domain/1/data/secret t']);
      follow([[1, 'XS_SET_PERMS', 'data/secret|n1|', 'OK|']], bench);
      expect(bench.takeEvents(), 'it could until now').to.deep.equal(['2 /local/domain/1/data/secret t']);
    });

    it('tell who may of domains that come and go', () => {
      const bench = follow([
        [TOOLS, 'XS_WATCH', '@introduceDomain|in|', 'OK|'],
        [TOOLS, 'XS_WATCH', '@releaseDomain|out|', 'OK|'],
        [2, 'XS_WATCH', '@releaseDomain|out|', 'OK|'],
        [TOOLS, 'XS_INTRODUCE', '9|3|1|', 'OK|'],
        [TOOLS, 'XS_INTRODUCE', '9|3|1|', 'OK|'],
        [TOOLS, 'XS_RELEASE', '9|', 'OK|'],
      ]);
      expect(bench.takeEvents().slice(3)).to.deep.equal(['0 @introduceDomain in', '0 @releaseDomain out']);
      follow(
        [
          [TOOLS, 'XS_SET_PERMS', '@releaseDomain|n0|r2|', 'OK|'],
          [TOOLS, 'XS_RELEASE', '3|', 'OK|'],
        ],
        bench,
      );
      expect(bench.takeEvents()).to.include.members(['0 @releaseDomain out', '2 @releaseDomain out']);
    });

    it('are not told the same twice while it waits', () => {
      const bench = new StoreBench();
      const client = bench.client(1);
      client.notify('data/x', 't', 1000);
      client.notify('data/x', 't', 1000);
      client.notify('data/y', 't', 1000);
      client.notify('@releaseDomain', 't', 1000);
      client.notify('@releaseDomain', 't', 1000);
      expect(client.queue.length).to.equal(4);
    });
  });

  describe('transactions', () => {
    const start = (bench: StoreBench, domain: number): number =>
      Number(bench.ask(domain, 'XS_TRANSACTION_START', '\0').slice(0, -1));

    it('are seen as a whole when they are committed, with their events', () => {
      const bench = follow([[1, 'XS_WATCH', 'data|t|', 'OK|']]);
      const id = start(bench, 1);
      bench.ask(1, 'XS_WRITE', 'data/a\x001', id);
      bench.ask(1, 'XS_WRITE', 'data/a\x002', id);
      bench.ask(1, 'XS_WRITE', 'data/b\x00x', id);
      bench.ask(1, 'XS_RM', 'data/b\0', id);
      expect(bench.ask(1, 'XS_READ', 'data/a\0', id)).to.equal('2');
      expect(bench.ask(1, 'XS_READ', 'data/a\0')).to.equal('!ENOENT');
      expect(bench.takeEvents()).to.deep.equal(['1 data t']);
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', id)).to.equal('OK\0');
      expect(bench.takeEvents()).to.deep.equal(['1 data/a t']);
      follow([[1, 'XS_DIRECTORY', 'data|', 'a|']], bench);
    });

    it('leave no trace when they are given up', () => {
      const bench = new StoreBench();
      const id = start(bench, 1);
      bench.ask(1, 'XS_WRITE', 'data/a\x001', id);
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'F\0', id)).to.equal('OK\0');
      expect(bench.ask(1, 'XS_READ', 'data/a\0')).to.equal('!ENOENT');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', id)).to.equal('!ENOENT');
    });

    for (const [what, before, meanwhile, answer] of [
      ['a node they have read was written', 'READ data/a', 'WRITE data/a', '!EAGAIN'],
      ['a node they have read was written with the same value', 'READ data/a', 'WRITE data/a', '!EAGAIN'],
      ['a node they have not found was created', 'READ data/new', 'WRITE data/new', '!EAGAIN'],
      ['a node they have read was removed', 'READ data/a', 'RM data/a', '!EAGAIN'],
      ['a directory they have listed has a new child', 'DIRECTORY data', 'WRITE data/new', '!EAGAIN'],
      ['something else was written', 'READ data/a', 'WRITE data/b', 'OK\0'],
      ['a node they have read was read', 'READ data/a', 'READ data/a', 'OK\0'],
    ] as const) {
      it(`${answer === 'OK\0' ? 'are' : 'cannot be'} committed when ${what}`, () => {
        const bench = follow([
          [1, 'XS_WRITE', 'data/a|0', 'OK|'],
          [1, 'XS_WRITE', 'data/b|0', 'OK|'],
        ]);
        const id = start(bench, 1);
        const make = (text: string, txId: number) => {
          const [name, path] = text.split(' ');
          bench.ask(1, `XS_${name}` as RequestName, `${path}\0${name === 'WRITE' ? '0' : ''}`, txId);
        };
        make(before, id);
        bench.ask(1, 'XS_WRITE', 'feature/mine\x001', id);
        make(meanwhile, 0);
        expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', id)).to.equal(answer);
        const written = bench.ask(1, 'XS_READ', 'feature/mine\0');
        expect(written).to.equal(answer === 'OK\0' ? '1' : '!ENOENT');
      });
    }

    it('of two that conflict, the first to be committed wins', () => {
      const bench = follow([[1, 'XS_WRITE', 'data/n|5', 'OK|']]);
      const [a, b] = [start(bench, 1), start(bench, 1)];
      for (const id of [a, b])
        bench.ask(1, 'XS_WRITE', `data/n\0${Number(bench.ask(1, 'XS_READ', 'data/n\0', id)) + 1}`, id);
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', b)).to.equal('OK\0');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', a)).to.equal('!EAGAIN');
      expect(bench.ask(1, 'XS_READ', 'data/n\0')).to.equal('6');
    });

    it('are named by ids of the client that began them', () => {
      const bench = new StoreBench({ transactions: 2 });
      const id = start(bench, 1);
      expect(bench.ask(2, 'XS_READ', 'data\0', id)).to.equal('!ENOENT');
      expect(bench.ask(1, 'XS_TRANSACTION_START', '\0', id)).to.equal('!EBUSY');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'X\0', id)).to.equal('!EINVAL');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0')).to.equal('!ENOENT');
      start(bench, 1);
      expect(bench.ask(1, 'XS_TRANSACTION_START', '\0')).to.equal('!ENOSPC');
      expect(bench.ask(1, 'XS_RESET_WATCHES', '\0')).to.equal('OK\0');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', id)).to.equal('!ENOENT');
    });

    it('count against the quota for nodes when they are committed', () => {
      const bench = new StoreBench({ nodes: 8 });
      // attr, backend, control/shutdown, data, drivers, error, feature belong to the domain.
      const id = start(bench, 1);
      expect(bench.ask(1, 'XS_WRITE', 'data/one\0', id)).to.equal('OK\0');
      expect(bench.ask(1, 'XS_WRITE', 'data/other\0')).to.equal('OK\0');
      expect(bench.ask(1, 'XS_TRANSACTION_END', 'T\0', id)).to.equal('!ENOSPC');
    });
  });

  describe('quotas', () => {
    it('limit the nodes a domain owns, not those of control domains', () => {
      const bench = follow(
        [
          [1, 'XS_WRITE', 'data/a/b|', 'OK|'],
          [1, 'XS_WRITE', 'data/c/d|', '!ENOSPC'],
          [1, 'XS_WRITE', 'data/c|', 'OK|'],
          [1, 'XS_MKDIR', 'data/d|', '!ENOSPC'],
          [1, 'XS_RM', 'data/a|', 'OK|'],
          [1, 'XS_WRITE', 'data/c/d|', 'OK|'],
          [TOOLS, 'XS_WRITE', '/local/domain/1/data/e|', 'OK|'],
        ],
        new StoreBench({ nodes: 10 }),
      );
      expect(bench.store.nodes.ownedBy(1)).to.equal(10);
    });

    it('limit the size of a node and the number of its permissions', () => {
      follow([
        [1, 'XS_WRITE', `data/x|${'v'.repeat(2024)}`, 'OK|'],
        [1, 'XS_WRITE', `data/x|${'v'.repeat(2025)}`, '!ENOSPC'],
        [1, 'XS_WRITE', `data/y|${'v'.repeat(2025)}`, '!ENOSPC'],
        [1, 'XS_READ', 'data/y|', '!ENOENT'],
        [1, 'XS_SET_PERMS', 'data/x|n1|r2|', '!ENOSPC'],
        [1, 'XS_SET_PERMS', 'feature|n1|r2|r3|r4|r5|', 'OK|'],
        [1, 'XS_SET_PERMS', 'feature|n1|r2|r3|r4|r5|r6|', '!ENOSPC'],
        [TOOLS, 'XS_WRITE', `/tool/x|${'v'.repeat(4000)}`, 'OK|'],
      ]);
    });
  });

  it('lists many children in parts, and says so when they do not fit into one answer', () => {
    const bench = new StoreBench();
    const names = Array.from({ length: 300 }, (_, i) => `child-number-${i}`);
    for (const name of names) bench.ask(TOOLS, 'XS_MKDIR', `/tool/many/${name}\0`);
    expect(bench.ask(TOOLS, 'XS_DIRECTORY', '/tool/many\0')).to.equal('!E2BIG');
    let list = '';
    let parts = 0;
    for (; !list.endsWith('\0\0'); parts++) {
      const text = bench.ask(TOOLS, 'XS_DIRECTORY_PART', `/tool/many\0${list.length}\0`);
      expect(text.length).to.be.at.most(4096);
      list += text.slice(text.indexOf('\0') + 1);
    }
    expect(parts).to.equal(2);
    expect(list.split('\0').slice(0, -2)).to.deep.equal(names);
    expect(bench.ask(TOOLS, 'XS_DIRECTORY_PART', '/tool/many\0')).to.equal('!EINVAL');
    expect(bench.ask(TOOLS, 'XS_DIRECTORY_PART', '/tool/many\x00x\0')).to.equal('!EINVAL');
    expect(bench.ask(TOOLS, 'XS_DIRECTORY_PART', '/tool/many\x0099999\0')).to.match(/^\d+\0\0$/);
  });

  it('forgets a released domain: its nodes, and what others let it do', () => {
    const bench = follow([
      [1, 'XS_WRITE', 'data/x|1', 'OK|'],
      [2, 'XS_WRITE', 'data/y|1', 'OK|'],
      [2, 'XS_SET_PERMS', 'data/y|n2|r1|', 'OK|'],
      [TOOLS, 'XS_RELEASE', '1|', 'OK|'],
      [TOOLS, 'XS_READ', '/local/domain/1/data/x|', '!ENOENT'],
      [TOOLS, 'XS_GET_PERMS', '/local/domain/2/data/y|', 'n2|'],
    ]);
    expect(bench.asked).to.deep.equal(['disconnect 1']);
    expect(bench.store.nodes.ownedBy(1)).to.equal(0);
  });

  it('answers every type of request with every malformed payload, and stays whole', () => {
    const bench = new StoreBench();
    const payloads = [
      '',
      '\0',
      '\0\0',
      'x',
      'data',
      'data\0',
      '/\0',
      '@\0',
      '//\0x\0',
      '1\0',
      '1\0x\0y\0z\0',
      '-1\0',
      '9'.repeat(4096),
    ];
    for (let type = 0; type < 40; type++) {
      for (const domain of [1, TOOLS]) {
        for (const payload of payloads) {
          for (const txId of [0, 1, 0xffff_ffff]) bench.askRaw(domain, type, payload, txId);
          // It may have been released.
          bench.ask(TOOLS, 'XS_INTRODUCE', '1\x003\x001\0');
        }
      }
    }
    expect(bench.store.isConsistent()).to.equal(true);
  });
});
