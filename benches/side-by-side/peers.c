// A round is 64 packets: IPsec-MB's job interface, and OpenSSL's stitched cipher, whose control
// calls the openssl crate does not have.
#include <intel-ipsec-mb.h>
#include <openssl/evp.h>
#include <stdint.h>

enum { AES128_SHA1, AES256_SHA256, TDES_SHA1, DES_MD5, GCM128, AES256_SHA512 };
enum { PACKETS = 64, HEAD = 24 };

static uint8_t buf[PACKETS][2048], tag[PACKETS][64], iv[16], key[32] = {7, 1, 2, 3};

static IMB_MGR *mgr;
static DECLARE_ALIGNED(uint32_t enc[2][15 * 4], 16);
static DECLARE_ALIGNED(uint32_t dec[2][15 * 4], 16);
static uint64_t des[3][16];
static const void *des3[3] = {des[0], des[1], des[2]};
static uint8_t inner[64] = {1}, outer[64] = {2};
static DECLARE_ALIGNED(struct gcm_key_data gcm, 64);

const char *mb_version(void) { return imb_get_version_str(); }

void mb_init(void) {
  mgr = alloc_mb_mgr(0);
  init_mb_mgr_auto(mgr, NULL);
  IMB_AES_KEYEXP_128(mgr, key, enc[0], dec[0]);
  IMB_AES_KEYEXP_256(mgr, key, enc[1], dec[1]);
  for (int i = 0; i < 3; i++) {
    uint8_t k[8] = {i + 1, 2, 3, 4, 5, 6, 7, 8};
    IMB_DES_KEYSCHED(mgr, des[i], k);
  }
  IMB_AES128_GCM_PRE(mgr, key, &gcm);
}

void mb_round(int suite, int seal, int length) {
  if (suite == GCM128) {
    struct gcm_context_data context;
    for (int k = 0; k < PACKETS; k++) {
      if (seal)
        IMB_AES128_GCM_ENC(mgr, &gcm, &context, buf[k] + 16, buf[k] + 16, length, iv, buf[k], 8, tag[k], 16);
      else
        IMB_AES128_GCM_DEC(mgr, &gcm, &context, buf[k] + 16, buf[k] + 16, length, iv, buf[k], 8, tag[k], 16);
    }
    return;
  }
  static const IMB_CIPHER_MODE modes[] = {IMB_CIPHER_CBC, IMB_CIPHER_CBC, IMB_CIPHER_DES3, IMB_CIPHER_DES,
                                          IMB_CIPHER_NULL, IMB_CIPHER_CBC};
  static const IMB_HASH_ALG hashes[] = {IMB_AUTH_HMAC_SHA_1, IMB_AUTH_HMAC_SHA_256, IMB_AUTH_HMAC_SHA_1, IMB_AUTH_MD5,
                                        IMB_AUTH_NULL, IMB_AUTH_HMAC_SHA_512};
  static const int keys[] = {16, 32, 24, 8, 0, 32}, tags[] = {12, 16, 12, 12, 0, 32};
  int is_aes = suite != TDES_SHA1 && suite != DES_MD5, wide = suite != AES128_SHA1;
  const void *e = is_aes ? (const void *)enc[wide] : suite == TDES_SHA1 ? (const void *)des3 : des[0];
  const void *d = is_aes ? (const void *)dec[wide] : e;
  for (int k = 0; k < PACKETS; k++) {
    IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);
    job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    job->chain_order = seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    job->cipher_mode = modes[suite];
    job->key_len_in_bytes = keys[suite];
    job->enc_keys = e;
    job->dec_keys = d;
    job->src = buf[k];
    job->dst = buf[k] + HEAD;
    job->iv = iv;
    job->iv_len_in_bytes = is_aes ? 16 : 8;
    job->cipher_start_src_offset_in_bytes = HEAD;
    job->msg_len_to_cipher_in_bytes = length;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = length + HEAD;
    job->hash_alg = hashes[suite];
    job->u.HMAC._hashed_auth_key_xor_ipad = inner;
    job->u.HMAC._hashed_auth_key_xor_opad = outer;
    job->auth_tag_output = tag[k];
    job->auth_tag_output_len_in_bytes = tags[suite];
    IMB_SUBMIT_JOB(mgr);
    while (IMB_GET_COMPLETED_JOB(mgr))
      ;
  }
  while (IMB_FLUSH_JOB(mgr))
    ;
}

static EVP_CIPHER_CTX *stitched;

void stitched_init(void) {
  stitched = EVP_CIPHER_CTX_new();
  if (!EVP_CipherInit_ex(stitched, EVP_aes_128_cbc_hmac_sha1(), NULL, key, iv, 1))
    stitched = NULL;
  else
    EVP_CIPHER_CTX_ctrl(stitched, EVP_CTRL_AEAD_SET_MAC_KEY, 20, key);
}

// AES-128-CBC and HMAC-SHA1 in one pass, as TLS uses it: 16 bytes of explicit IV and the payload.
int stitched_round(int length) {
  if (!stitched)
    return 0;
  for (int k = 0; k < PACKETS; k++) {
    uint8_t aad[13] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 2, (length + 16) >> 8, (length + 16) & 255};
    int pad = EVP_CIPHER_CTX_ctrl(stitched, EVP_CTRL_AEAD_TLS1_AAD, 13, aad);
    EVP_Cipher(stitched, buf[k], buf[k], length + 16 + pad);
  }
  return 1;
}
