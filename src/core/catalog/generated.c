/* SPDX-License-Identifier: Apache-2.0 */
/* Platform and software products of the demo stores: no open source has them, so they are made from
 * tables and a seed and say so. */
#include "market_internal.h"

#define GENERATED "演示商品：规格、价格与库存均由固定种子生成，不对应真实服务。"

struct made {
    const char *id, *name, *category;
    struct spec specs[6];
    int64_t month_yuan;
    int usage;
};
#define SPEC(code, value, unit)          \
    {                                    \
        STR(code), STR(value), STR(unit) \
    }
#define CLUSTER(id, name, vcpus, memory, nodes, requests, yuan)                   \
    {                                                                             \
        id, name, "paas.container",                                               \
            {SPEC("engine", "kubernetes", ""),      SPEC("vcpus", vcpus, "core"), \
             SPEC("memory", memory, "GiB"),         SPEC("nodes", nodes, "node"), \
             SPEC("throughput", requests, "req/s"), SPEC("version", "1.31", "")}, \
            yuan, USAGE_DEDICATED                                                 \
    }
#define AI(id, name, service, framework, model, cards, yuan)                                  \
    {                                                                                         \
        id, name, "paas.ai",                                                                  \
            {SPEC("service", service, ""), SPEC("framework", framework, ""),                  \
             SPEC("accelerator_model", model, ""), SPEC("accelerator_count", cards, "card")}, \
            yuan, USAGE_API                                                                   \
    }
#define SOFTWARE(id, name, application, users, yuan)                             \
    {                                                                            \
        id, name, "saas.software",                                               \
            {SPEC("application", application, ""), SPEC("users", users, "user"), \
             SPEC("online_access", "true", ""), SPEC("support", "7x12", "")},    \
            yuan, USAGE_SHARED                                                   \
    }

static const struct made table[] = {
    CLUSTER("gen:k8s-s", "容器集群 小型 3 节点", "12", "48", "3", "2000", 1480),
    CLUSTER("gen:k8s-m", "容器集群 中型 6 节点", "48", "192", "6", "9000", 5260),
    CLUSTER("gen:k8s-l", "容器集群 大型 16 节点", "256", "1024", "16", "40000", 26800),
    AI("gen:train-910b", "大模型训练平台 昇腾 8 卡", "training", "MindSpore", "Huawei Ascend 910B",
       "8", 68000),
    AI("gen:tune-h20", "模型微调平台 8 卡", "fine_tuning", "PyTorch", "NVIDIA H20", "8", 59000),
    AI("gen:infer-l4", "推理服务 2 卡", "inference", "vLLM", "NVIDIA L4", "2", 6900),
    AI("gen:infer-mlu", "推理服务 思元 4 卡", "inference", "PyTorch", "Cambricon MLU370", "4",
       8800),
    AI("gen:notebook", "交互式建模环境 单卡", "notebook", "JupyterLab", "NVIDIA T4", "1", 1290),
    SOFTWARE("gen:cae", "工业仿真云", "simulation", "20", 9800),
    SOFTWARE("gen:render", "影视渲染云", "rendering", "50", 7600),
    SOFTWARE("gen:bio", "基因分析云", "bioinformatics", "10", 12600),
    SOFTWARE("gen:bi", "数据分析工作台", "data_analysis", "100", 3200),
    SOFTWARE("gen:eda", "芯片设计云", "design", "10", 18900),
};

static err_t put_made(struct import *import, const struct made *made)
{
    struct ctx *ctx = import->ctx;
    struct import_product p = {0};
    size_t count = 0;
    for (size_t i = 0; i < 6 && made->specs[i].code.len; i++)
        p.specs[count++] = made->specs[i];
    p.report.external_product_id = str_of(made->id);
    p.report.name = str_of(made->name);
    p.report.category_code = str_of(made->category);
    p.report.usage_mode = made->usage;
    p.report.description = STR(GENERATED);
    TRY(catalog_specs_id(ctx, catalog_specs_json(ctx, p.specs, count), &p.specs_id));
    TRY(catalog_code_number(ctx, CODE_CATEGORY, p.report.category_code, &p.entry.category));
    TRY(entry_add_specs(ctx, &p.entry, p.specs, count));
    /* Stores differ by up to a tenth either way, in whole yuan. */
    int64_t yuan = made->month_yuan * (900 + dice_below(&import->dice, 201)) / 1000;
    import_add_sku(&p, "m1", CHARGE_RESERVED, (price_t){yuan * 10000000000}, PRICE_MONTH, "P1M");
    import_add_sku(&p, "y1", CHARGE_RESERVED, (price_t){yuan * 10 * 10000000000}, PRICE_YEAR,
                   "P1Y");
    return import_put(import, &p);
}

err_t import_generated(struct import *import)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        TRY(put_made(import, &table[i]));
    return OK;
}
