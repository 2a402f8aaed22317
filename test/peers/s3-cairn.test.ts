import { startVersitygw } from './aws-versitygw.ts';
import { wholeCairnContract } from './s3-whole-cairn.ts';

wholeCairnContract('versitygw', startVersitygw);
