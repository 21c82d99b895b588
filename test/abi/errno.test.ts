import { expect } from 'chai';
import { Errno, errnoName, HypercallError } from '../../lib/abi';

describe('errnoName', () => {
  it('names an error number whatever its sign', () => {
    expect(errnoName(22)).to.equal('EINVAL');
    expect(errnoName(-22)).to.equal('EINVAL');
  });

  it('prefers the first of two names for a number', () => {
    expect(errnoName(Errno.EWOULDBLOCK)).to.equal('EAGAIN');
    expect(errnoName(Errno.EDEADLOCK)).to.equal('EDEADLK');
  });

  it('makes a name for a number Xen does not use', () => {
    expect(errnoName(-4096)).to.equal('E4096');
  });
});

describe('HypercallError', () => {
  it('carries the positive number and its name', () => {
    const error = new HypercallError('EVTCHNOP_send', -Errno.EINVAL);
    expect(error).to.be.instanceOf(Error);
    expect(error).to.include({ name: 'HypercallError', errno: 22, code: 'EINVAL', hypercall: 'EVTCHNOP_send' });
    expect(error.message).to.equal('EVTCHNOP_send: EINVAL (-22)');
  });
});
