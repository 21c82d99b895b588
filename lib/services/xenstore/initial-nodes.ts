/**
 * The store as the toolstack has filled it by the time the first domain starts: what xenstored itself makes, and for each domain
 * what libxl does.
 *
 * @source tools/xenstored/core.c (setup_structure), tools/libs/light/libxl_create.c (libxl__domain_make), libxl_dom.c
 * (libxl__build_post)
 */
import type { ServedDomain } from '../service';
import type { StoreNode } from './nodes';
import { childOf, domainPath, leafOf, parentOf } from './paths';
import { type Permissions, READ } from './permissions';

const KIB_PER_FRAME = 4;
const FRAME_BYTES = 4096;
/** Nobody but control domains. */
const CLOSED: Permissions = [{ id: 0, access: 0 }];

class Builder {
  readonly nodes = new Map<string, StoreNode>();

  add(path: string, permissions: Permissions, value = ''): void {
    if (path !== '/' && !path.startsWith('@')) {
      const parent = parentOf(path);
      if (!this.nodes.has(parent)) this.add(parent, permissions);
      const above = this.nodes.get(parent) as StoreNode;
      this.put(parent, { ...above, children: [...above.children, leafOf(path)] });
    }
    this.put(path, { value, permissions, children: [], generation: 0 });
  }

  private put(path: string, node: StoreNode): void {
    this.nodes.set(path, { ...node, generation: this.nodes.size });
  }
}

/** A name for /vm that depends on the domain's number alone. */
function uuidOf(id: number): string {
  return `00000000-0000-0000-0000-${id.toString(16).padStart(12, '0')}`;
}

export function initialNodes(domains: readonly ServedDomain[]): ReadonlyMap<string, StoreNode> {
  const builder = new Builder();
  for (const path of [
    '/',
    '/tool',
    '/tool/xenstored',
    '@releaseDomain',
    '@introduceDomain',
    '/local',
    '/local/domain',
  ]) {
    builder.add(path, CLOSED);
  }
  builder.add('/vm', CLOSED);
  addDomain(builder, { id: 0, name: 'Domain-0', vcpus: 0, frames: 0 });
  for (const domain of domains) {
    addDomain(builder, domain);
    const path = domainPath(domain.id);
    const readable = readableBy(domain.id);
    builder.add(`${path}/store/port`, readable, String(domain.remotePort));
    builder.add(`${path}/store/ring-ref`, readable, String(domain.pageAddress / FRAME_BYTES));
  }
  return builder.nodes;
}

function readableBy(id: number): Permissions {
  return [
    { id: 0, access: 0 },
    { id, access: READ },
  ];
}

function addDomain(
  builder: Builder,
  { id, name, vcpus, frames }: Pick<ServedDomain, 'id' | 'name' | 'vcpus' | 'frames'>,
): void {
  const path = domainPath(id);
  const readable = readableBy(id);
  const own: Permissions = [{ id, access: 0 }];
  const vm = childOf('/vm', uuidOf(id));
  builder.add(vm, readable);
  builder.add(`${vm}/name`, readable, name);
  builder.add(`${vm}/uuid`, readable, uuidOf(id));
  builder.add(path, readable);
  builder.add(`${path}/vm`, readable, vm);
  builder.add(`${path}/name`, readable, name);
  builder.add(`${path}/domid`, readable, String(id));
  for (let cpu = 0; cpu < vcpus; cpu++) builder.add(`${path}/cpu/${cpu}/availability`, readable, 'online');
  for (const leaf of ['static-max', 'target']) {
    builder.add(`${path}/memory/${leaf}`, readable, String(frames * KIB_PER_FRAME));
  }
  for (const leaf of ['device', 'backend', 'control'])
    builder.add(`${path}/${leaf}`, leaf === 'backend' ? own : readable);
  builder.add(`${path}/control/shutdown`, own);
  for (const leaf of ['attr', 'data', 'drivers', 'error', 'feature']) builder.add(`${path}/${leaf}`, own);
}
