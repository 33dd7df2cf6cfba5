#include "support/bedrock/test_certificate.hpp"

#include <memory>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace valkeycache::test {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_vfree>>;

void require(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL could not make a certificate");
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Key make_key() {
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr));
  EVP_PKEY* key = nullptr;
  require(context && EVP_PKEY_keygen_init(context.get()) == 1 &&
          EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1) == 1 &&
          EVP_PKEY_keygen(context.get(), &key) == 1);
  return Key(key);
}

}  // namespace

TestCertificate make_test_certificate(const std::string& names) {
  const auto key = make_key();
  const Certificate certificate(X509_new());
  require(certificate != nullptr);
  X509* x509 = certificate.get();
  require(X509_set_version(x509, 2) == 1);
  require(ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1);
  require(X509_gmtime_adj(X509_getm_notBefore(x509), -3600) != nullptr);
  require(X509_gmtime_adj(X509_getm_notAfter(x509), 24 * 3600) != nullptr);
  require(X509_set_pubkey(x509, key.get()) == 1);
  auto* subject = X509_get_subject_name(x509);
  const auto* common_name = reinterpret_cast<const unsigned char*>("ValkeyCache tests");
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1);
  require(X509_set_issuer_name(x509, subject) == 1);
  X509V3_CTX extension_context;
  X509V3_set_ctx_nodb(&extension_context);
  X509V3_set_ctx(&extension_context, x509, x509, nullptr, nullptr, 0);
  const auto add_extension = [&](int id, const char* value) {
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &extension_context, id, value));
    require(extension && X509_add_ext(x509, extension.get(), -1) == 1);
  };
  add_extension(NID_subject_alt_name, names.c_str());
  add_extension(NID_basic_constraints, "critical,CA:TRUE");
  require(X509_sign(x509, key.get(), EVP_sha256()) > 0);

  const Bio certificate_bio(BIO_new(BIO_s_mem()));
  const Bio key_bio(BIO_new(BIO_s_mem()));
  require(certificate_bio && key_bio);
  require(PEM_write_bio_X509(certificate_bio.get(), x509) == 1);
  require(PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                   nullptr) == 1);
  return {contents(certificate_bio.get()), contents(key_bio.get())};
}

}  // namespace valkeycache::test
