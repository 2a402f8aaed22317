import { startSwift } from '../peers/s3-swift.ts';
import { wholeCairnContract } from '../peers/s3-whole-cairn.ts';

wholeCairnContract('Swift', startSwift);
